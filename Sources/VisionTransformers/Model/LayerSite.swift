/// What one group of linear layers of the backbone reads: rows of inputs, seen while an image is computed.
package struct LayerInput: Sendable {
    /// A place in a transformer block.
    package enum Place: Sendable, CaseIterable {
        /// Before query, key and value.
        case attentionInput
        /// Before the attention's output layer.
        case attentionOutput
        /// Before the MLP's first layer, or its gate and up branch.
        case mlpInput
        /// Before the MLP's second layer.
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
    }

    /// Receives the inputs of one place for one image of the batch: (rows, columns), valid during the call only.
    package typealias Observer = (
        _ image: Int, _ layer: Int, _ place: Place, _ values: UnsafePointer<Float>, _ rows: Int, _ columns: Int
    ) -> Void
}
