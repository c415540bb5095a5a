// Production defaults, `compress` (gzip) among them. The root is named so that no lock file further up is taken for it.
export default { turbopack: { root: import.meta.dirname } };
