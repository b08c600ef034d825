// Stands for the native module that ends an extension host when its server is gone: guard.cjs, which
// every process loads, does so.
"use strict";
exports.start = () => {};
