/** The first import of the receiver's entry: everything after it may fail on an older Node. */
if (Number(process.versions.node.split('.', 1)[0]) < 20) {
  process.stderr.write(
    `sparsebak-receiver: it needs Node 20 or newer, and ${process.execPath} is ${process.versions.node}: ` +
      'install the package sparsebak-node, or a newer Node\n',
  );
  process.exit(2);
}
