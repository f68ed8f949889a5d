import Compute
import Tensors

extension PlanLoader {
    /// What a block's attention is rounded from.
    struct PlainAttention {
        let norm: ForwardPlan.Norm
        /// Queries, keys and values.
        let input: Plain
        let output: Plain
    }

    /// What a block's MLP is rounded from.
    struct PlainMLP {
        let norm: ForwardPlan.Norm
        /// The first layer; in a gated MLP, the gate.
        let first: Plain
        /// A gated MLP's up branch.
        let up: Plain?
        let second: Plain
    }

    /// A block's attention as it is.
    func plainAttention(_ layer: Int) throws -> PlainAttention {
        PlainAttention(
            norm: try norm("layers.\(layer).norm1"), input: try plainAttentionInput(layer),
            output: try plainScaled("layers.\(layer).attention.o_proj"))
    }

    /// A block's MLP as it is.
    func plainMLP(_ layer: Int) throws -> PlainMLP {
        let (name, gated) = ("layers.\(layer).mlp", configuration.usesSwiGLU)
        return PlainMLP(
            norm: try norm("layers.\(layer).norm2"), first: try plainScaled("\(name).\(gated ? "gate_proj" : "fc1")"),
            up: gated ? try plainScaled("\(name).up_proj") : nil,
            second: try plainScaled("\(name).\(gated ? "down_proj" : "fc2")"))
    }

    private func plainScaled(_ name: String) throws -> Plain { try plain(name, rowScale: rowScale(of: name)) }
}

extension RoundedAttention {
    /// Rounds a block's attention without having seen what it reads: the normalization's shift and scale stand for the channels'
    /// means and deviations, and weights are rounded to the nearest steps.
    init(_ plain: PlanLoader.PlainAttention) {
        let folding = Int8Folding(plain.norm)
        self.init(
            norm: folding.folded(plain.norm), input: RoundedLayer(folding.folded(reader: plain.input)),
            output: RoundedLayer(plain.output))
    }

    /// Rounds a block's attention for what was seen.
    init(_ plain: PlanLoader.PlainAttention, read: InputMoments, attended: InputMoments) throws {
        let folding = Int8Folding(read, readers: [plain.input])
        let values = Int8Folding(attended, readers: [plain.output])
        self.init(
            norm: folding.folded(plain.norm),
            input: try RoundedLayer(values.folded(writer: folding.folded(reader: plain.input)), read, folding),
            output: try RoundedLayer(values.folded(reader: plain.output), attended, values))
    }
}

extension RoundedMLP {
    /// Rounds a block's MLP without having seen what it reads.
    init(_ plain: PlanLoader.PlainMLP) {
        let folding = Int8Folding(plain.norm)
        self.init(
            norm: folding.folded(plain.norm), first: RoundedLayer(folding.folded(reader: plain.first)),
            up: plain.up.map { RoundedLayer(folding.folded(reader: $0)) },
            factor: [Float](repeating: 1, count: plain.first.bias.count), second: RoundedLayer(plain.second))
    }

    /// Rounds a block's MLP for what was seen.
    init(_ plain: PlanLoader.PlainMLP, read: InputMoments, hidden: InputMoments) throws {
        let folding = Int8Folding(read, readers: [plain.first] + (plain.up.map { [$0] } ?? []))
        let division = Int8Folding(hidden, readers: [plain.second]).withoutShift
        self.init(
            norm: folding.folded(plain.norm),
            first: try RoundedLayer(folding.folded(reader: plain.first), read, folding),
            up: try plain.up.map { try RoundedLayer(folding.folded(reader: $0), read, folding) },
            factor: division.divisor.map { 1 / $0 },
            second: try RoundedLayer(division.folded(reader: plain.second), hidden, division))
    }
}
