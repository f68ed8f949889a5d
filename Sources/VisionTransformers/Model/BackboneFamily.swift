package import Files

/// A family of Vision Transformers, as `model_type` in `config.json` names it: what its files call things, and what its
/// models are made of. Nothing else depends on the family: from its description and a `config.json` comes a
/// `BackboneConfiguration`, and the kernels follow from that.
///
/// Each family is described in a file of `Families` and has a line in `all`.
package struct BackboneFamily: Sendable {
    /// `model_type`.
    package let name: String
    /// The class that loads the backbone without a head in transformers.
    package let architecture: String
    /// The class for image classification in transformers, with one classifier; nil if there is none.
    package let classifierArchitecture: String?
    /// The module of the classes in transformers: `vit` in `transformers.models.vit.modeling_vit`.
    package let module: String
    /// The keys of `config.json`.
    let keys: ConfigurationKeys
    /// The names of parameters.
    package let names: ParameterNaming
    /// What its models are made of, unless `config.json` says otherwise.
    let anatomy: Anatomy

    /// A family; its module has its name unless given.
    init(
        name: String, architecture: String, classifierArchitecture: String?, module: String? = nil,
        keys: ConfigurationKeys, names: ParameterNaming, anatomy: Anatomy = Anatomy()
    ) {
        (self.name, self.architecture, self.classifierArchitecture) = (name, architecture, classifierArchitecture)
        (self.module, self.keys, self.names, self.anatomy) = (module ?? name, keys, names, anatomy)
    }

    /// All families, in the order in which messages list them.
    package static let all: [BackboneFamily] = [
        vit, deit, dinov2, dinov2Registers, dinov3, siglip, siglipVision, clip, clipVision, metaCLIP2,
        metaCLIP2Vision, vitMAE, vitMSN, ijepa, beit, data2vec, timm,
    ]

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

    /// What else a classifier's `config.json` says: timm's models have class names under a key of their own, and
    /// SigLIP's pooling head is left out.
    package func describe(_ classes: [String], in configuration: inout JSONObject) {
        if self == .timm {
            configuration["model_type"] = .string(name)
            configuration["num_classes"] = .int(classes.count)
            configuration["label_names"] = .array(classes.map(JSON.string))
        }
        guard self == .siglip, var vision = configuration["vision_config"]?.objectValue else { return }
        vision["vision_use_head"] = .bool(false)
        configuration["vision_config"] = .object(vision)
    }

    /// The module of the family's classes in transformers.
    package var transformersModule: String { "transformers.models.\(module).modeling_\(module)" }
}

extension BackboneFamily: Equatable {
    /// Families are the same if their names are.
    package static func == (one: BackboneFamily, other: BackboneFamily) -> Bool { one.name == other.name }
}
