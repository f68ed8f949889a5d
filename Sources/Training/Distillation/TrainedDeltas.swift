import Adapters
import Compute
import Tensors
import VisionTransformers

extension DistillationSettings {
    /// What is trained of each linear layer.
    var form: TrainedModule.Form { rank.map { .lowRank(rank: $0, scale: 1) } ?? .dense }
}

extension WeightDelta {
    /// What the trained tensors of modules add to weights, by parameter.
    static func trained(_ tensors: [TrainedTensor]) -> [String: WeightDelta] {
        let named = Dictionary(tensors.map { ($0.name, $0) }) { $1 }
        func matrix(_ tensor: TrainedTensor) -> Matrix {
            Matrix(
                rows: tensor.shape[0], columns: tensor.shape[1], values: tensor.values.elements.map(Double.init))
        }
        var deltas: [String: WeightDelta] = [:]
        for tensor in tensors {
            if tensor.name.hasSuffix(".delta") {
                let delta = matrix(tensor)
                deltas["\(tensor.name.dropLast(".delta".count)).weight"] = WeightDelta(
                    shape: [delta.rows, delta.columns], .dense(delta))
            } else if tensor.name.hasSuffix(".lora_A.weight") {
                let module = tensor.name.dropLast(".lora_A.weight".count)
                guard let factor = named["\(module).lora_B.weight"] else { continue }
                let (a, b) = (matrix(tensor), matrix(factor))
                deltas["\(module).weight"] = WeightDelta(
                    shape: [b.rows, a.columns], .lowRank(b: b, a: a, scale: 1))
            }
        }
        return deltas
    }
}
