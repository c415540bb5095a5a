// Production defaults, including `compress` (gzip). The root is explicit so that Next.js does not infer it from another lock file.
export default { turbopack: { root: import.meta.dirname } };
