process.stderr.write('sparsebak: nothing here yet\n');
process.exitCode = 1;
