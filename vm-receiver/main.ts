process.stderr.write('sparsebak-receiver: nothing here yet\n');
process.exitCode = 1;
