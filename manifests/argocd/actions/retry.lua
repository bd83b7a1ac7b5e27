-- Forgives the version that was rejected and tries it again.
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["fairway.dev/retry"] = obj.status.refused.run
return obj
