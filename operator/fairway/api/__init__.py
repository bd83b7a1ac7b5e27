"""The custom resources as pydantic models: the single source of the CRDs."""

GROUP = "fairway.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
