-- Skips the remaining steps and the analysis; capacity and approvals are still waited for.
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["fairway.dev/promote-full"] = obj.status.run.id
return obj
