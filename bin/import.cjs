// Imports a file that a user names, for dist/flux.cjs: V8 lets code that was kept compiled import nothing.

'use strict';

module.exports = (url) => import(url);
