// What is in the packages and comes from elsewhere, as CycloneDX. The library knows the format's versions and their
// rules (order, what a version lacks), which a document written by hand would have to follow by itself.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Enums, Models, Serialize, Spec } from '@cyclonedx/cyclonedx-library';

const { HashAlgorithm } = Enums;

/** @param {Buffer} bytes */
const sha256 = (bytes) => new Models.HashDictionary([[HashAlgorithm['SHA-256'], hex('sha256', bytes)]]);

/** @param {string} algorithm @param {Buffer} bytes */
const hex = (algorithm, bytes) => createHash(algorithm).update(bytes).digest('hex');

/** @param {string} id */
const licensed = (id) => new Models.LicenseRepository([new Models.SpdxLicense(id)]);

/**
 * The packages in a bundle, from the list that the build wrote beside it; their hashes are those of the lockfile, over
 * the archive that npm installs.
 * @param {string} list @param {Record<string, { version?: string, integrity?: string }>} locked
 */
function packagesIn(list, locked) {
  const [rows = ''] = list.split('\n\n', 1);
  return rows
    .split('\n')
    .filter(Boolean)
    .map((row) => {
      const [name = '', version = '', ...licence] = row.split(' ');
      const found = Object.entries(locked).find(
        ([path, each]) => path.endsWith(`node_modules/${name}`) && each.version === version,
      );
      const integrity = /^sha512-(.*)$/.exec(found?.[1].integrity ?? '')?.[1];
      if (integrity === undefined) throw new Error(`package-lock.json has no sha512 of ${name} ${version}`);
      const [scope, bare] = name.startsWith('@') ? name.split('/') : [undefined, name];
      return new Models.Component(Enums.ComponentType.Library, bare ?? name, {
        bomRef: `npm:${name}@${version}`,
        version,
        ...(scope === undefined ? {} : { group: scope }),
        purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
        licenses: licensed(licence.join(' ')),
        hashes: new Models.HashDictionary([
          [HashAlgorithm['SHA-512'], Buffer.from(integrity, 'base64').toString('hex')],
        ]),
      });
    });
}

/** @param {string} nodeVersion @param {Buffer} binary */
function nodeComponent(nodeVersion, binary) {
  return new Models.Component(Enums.ComponentType.Platform, 'node', {
    bomRef: `node@${nodeVersion}`,
    version: nodeVersion,
    description:
      'Node.js with the libraries that it contains: its LICENSE lists them (sparsebak-node, and the tarball)',
    purl: `pkg:generic/node@${nodeVersion}`,
    cpe: `cpe:2.3:a:nodejs:node.js:${nodeVersion}:*:*:*:*:*:*:*`,
    licenses: licensed('MIT'),
    hashes: sha256(binary),
  });
}

/**
 * @param {import('./contents.mjs').Contents} contents
 * @param {{ version: string, date: number, nodeVersion: string | undefined }} options without a version of Node it is
 *   left out, as it is in the packages
 * @returns {string} the document
 */
export function sbom(contents, { version, date, nodeVersion }) {
  /** @type {{ packages: Record<string, { version?: string, integrity?: string }> }} */
  const { packages: locked } = JSON.parse(contents.bytes('package-lock.json').toString());
  const bom = new Models.Bom({ version: 1 });
  const product = new Models.Component(Enums.ComponentType.Application, 'sparsebak', {
    bomRef: `sparsebak@${version}`,
    version,
    licenses: licensed('GPL-3.0-or-later'),
  });
  bom.metadata = new Models.Metadata({ component: product, timestamp: new Date(date * 1000) });
  const seen = new Map();
  /** @param {InstanceType<typeof Models.Component>} component one that several bundles have is listed once */
  const listed = (component) => {
    const known = seen.get(component.bomRef.value) ?? component;
    if (known === component) bom.components.add(component);
    seen.set(component.bomRef.value, known);
    return known;
  };
  const bundles = [...contents.bundles('sparsebak'), ...contents.bundles('sparsebak-receiver')];
  for (const name of bundles) {
    const bundle = new Models.Component(Enums.ComponentType.File, name, {
      bomRef: `file:${name}`,
      version,
      licenses: licensed('GPL-3.0-or-later'),
      hashes: sha256(contents.bytes(`dist/${name}`)),
    });
    listed(bundle);
    product.dependencies.add(bundle.bomRef);
    for (const each of packagesIn(contents.packageList(name), locked)) bundle.dependencies.add(listed(each).bomRef);
  }
  if (nodeVersion !== undefined) {
    const node = listed(nodeComponent(nodeVersion, readFileSync(contents.node)));
    product.dependencies.add(node.bomRef);
  }
  const serializer = new Serialize.JsonSerializer(new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6));
  return `${serializer.serialize(bom, { sortLists: true, space: 2 })}\n`;
}
