/// A family of Vision Transformers, as `model_type` in `config.json` names it: what its files call things, and what its
/// models are made of. Nothing else depends on the family: from its description and a `config.json` comes a
/// `BackboneConfiguration`, and the kernels follow from that.
///
/// Each family is a file in this folder and a line of `all`.
package struct BackboneFamily: Sendable {
    /// `model_type`.
    package let name: String
    /// The class that loads the backbone without a head in transformers.
    package let architecture: String
    /// The class for image classification in transformers, with one classifier.
    package let classifierArchitecture: String
    /// The keys of `config.json`.
    let keys: ConfigurationKeys
    /// The names of parameters.
    package let names: ParameterNaming
    /// Tokens before those of patches.
    package var prefix = PrefixTokens()
    /// What heads read.
    var features = FeatureParts()
    /// Whether position embeddings are resampled for images of another size; other families reject such images.
    var interpolatesPositions = false
    /// Whether the outputs of attention and MLP are multiplied by factors per channel (Touvron et al., ICCV 2021, arXiv
    /// 2103.17239).
    var hasLayerScale = false

    /// All families, in the order in which messages list them.
    package static let all: [BackboneFamily] = [vit, deit, dinov2]

    /// The family of a `model_type`, or nil.
    static func named(_ name: String) -> BackboneFamily? { all.first { $0.name == name } }

    /// The naming that parameters without a model most likely have: the one by which most of them are in blocks.
    package static func names(of parameters: [String]) -> ParameterNaming {
        func count(_ family: BackboneFamily) -> Int {
            parameters.count { ParameterNames.layer(of: family.names.canonical($0)) != nil }
        }
        return all.reduce(vit) { count($1) > count($0) ? $1 : $0 }.names
    }

    /// The names of all families, for messages.
    static var allNames: String { all.map(\.name).joined(separator: ", ") }

    /// The module of the family's classes in transformers.
    package var transformersModule: String { "transformers.models.\(name).modeling_\(name)" }
}

extension BackboneFamily: Equatable {
    /// Families are the same if their names are.
    package static func == (one: BackboneFamily, other: BackboneFamily) -> Bool { one.name == other.name }
}

/// The tokens before those of patches, in their order.
package struct PrefixTokens: Sendable, Equatable {
    /// DeiT's second token, which a second classifier reads.
    var hasDistillation = false

    /// How many there are.
    package var count: Int { hasDistillation ? 2 : 1 }
}

/// The features, the vector that heads read: parts of the width of a token. First the prefix tokens in their order,
/// then the mean of the patch tokens. A head reads as many of the first parts as its weight is wide; one that was
/// aligned with a merged backbone may read all.
package struct FeatureParts: Sendable, Equatable {
    /// The number of first parts that `classifier` in transformers reads.
    package var classifier = 1
}
