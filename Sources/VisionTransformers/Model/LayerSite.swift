/// Where linear layers of a transformer block read: layers of one site read the same rows.
package enum LayerSite: Sendable, CaseIterable {
    /// Query, key and value.
    case attentionInput
    /// The attention's output layer.
    case attentionOutput
    /// The MLP's first layer, or its gate and up branch.
    case mlpInput
    /// The MLP's last layer.
    case mlpHidden

    /// The modules of a block that read here.
    package var modules: [String] {
        switch self {
        case .attentionInput: ["attention.q_proj", "attention.k_proj", "attention.v_proj"]
        case .attentionOutput: ["attention.o_proj"]
        case .mlpInput: ["mlp.fc1", "mlp.gate_proj", "mlp.up_proj"]
        case .mlpHidden: ["mlp.fc2", "mlp.down_proj"]
        }
    }

    /// The number of channels that layers read here.
    package func columns(_ c: BackboneConfiguration) -> Int {
        self == .mlpHidden ? c.intermediateSize : c.hiddenSize
    }

    /// Whether layers read normalized tokens here; the others add their output to the residual stream.
    var readsNormalized: Bool { self == .attentionInput || self == .mlpInput }
}

/// A linear layer of a backbone: its block, where it reads, and its extents.
struct ModuleSite: Sendable, Equatable {
    /// The number of its block.
    let layer: Int
    /// Where it reads.
    let input: LayerSite
    /// The module's number among those of its site, which gives the columns of the joined layer's output that it
    /// writes.
    let position: Int
    let inputs: Int
    let outputs: Int

    /// Finds a module in a backbone.
    ///
    /// - Throws: `ModelError` when there is no such linear layer in a block.
    init(_ module: String, _ c: BackboneConfiguration) throws(ModelError) {
        let shape = c.parameterShapes.first { $0.name == "\(module).weight" }?.shape
        guard let layer = ParameterNames.layer(of: module), let shape, shape.count == 2,
            let inner = module.split(separator: ".", maxSplits: 2).last.map(String.init),
            let input = LayerSite.allCases.first(where: { $0.modules.contains(inner) })
        else { throw ModelError(module, "not a linear layer in a block of this \(c.family.name)") }
        self.layer = layer
        self.input = input
        position =
            input.modules.filter { name in
                c.parameterShapes.contains { $0.name == "layers.\(layer).\(name).weight" }
            }.firstIndex(of: inner) ?? 0
        (outputs, inputs) = (shape[0], shape[1])
    }

    /// Its position in the order in which an image passes the sites of all blocks.
    var depth: Int { Self.depth(layer, input) }

    static func depth(_ layer: Int, _ site: LayerSite) -> Int {
        let sites = LayerSite.allCases
        return layer * sites.count + (sites.firstIndex(of: site) ?? 0)
    }
}
