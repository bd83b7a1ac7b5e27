-- Restarts the pods one after the other; no new revision.
local os = require("os")
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["fairway.dev/restart"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
