# All images, for this machine's platform or for several:
#
#   docker buildx bake                                    # shop/<target>:dev
#   docker buildx bake order web                          # two of them
#   REGISTRY=registry.example.com/ TAG=0.1.0 PLATFORMS=linux/amd64,linux/arm64 docker buildx bake --push --sbom=true
#
# Nothing is cross-compiled, so a builder for two platforms needs two nodes, one of each
# (`docker buildx create --append`); with one node, the other platform is emulated, which takes hours.
# `cargo xtask images` sets the variables from the commit.

variable "REGISTRY" {
  default = ""
}

variable "TAG" {
  default = "dev"
}

variable "PLATFORMS" {
  default = ""
}

variable "VERSION" {
  default = "0.1.0"
}

variable "REVISION" {
  default = "unknown"
}

variable "SOURCE" {
  default = ""
}

# The commit's time, in seconds since 1970. The same commit produces the same layers.
variable "SOURCE_DATE_EPOCH" {
  default = "0"
}

group "default" {
  targets = ["image"]
}

target "image" {
  name = service
  matrix = {
    service = ["auth", "catalog", "order", "payment", "notification", "web", "telegram", "outbox-controller", "shop"]
  }
  context    = "."
  dockerfile = "Dockerfile"
  target     = service
  tags       = ["${REGISTRY}shop/${service}:${TAG}"]
  platforms  = PLATFORMS == "" ? null : split(",", PLATFORMS)
  args = {
    SOURCE            = SOURCE
    VERSION           = VERSION
    REVISION          = REVISION
    SOURCE_DATE_EPOCH = SOURCE_DATE_EPOCH
    CREATED           = timeadd("1970-01-01T00:00:00Z", "${SOURCE_DATE_EPOCH}s")
  }
}
