import Compute
import Files
import Tensors
package import VisionTransformers

/// How much the deltas of several tasks interfere: measured for every parameter that two tasks change, and summed up
/// for each pair.
///
/// Everything follows from the factors b · a of the deltas: QR of b and aᵀ, then a singular value decomposition of a
/// core as small as the rank. The cost is linear in a layer's width.
package struct Interference: Sendable {
    /// A comparison of two deltas.
    package struct Measure: Sendable, Equatable {
        /// ‖ΔW₁‖ / ‖ΔW₂‖, or nil when the second is zero.
        package let normRatio: Double?
        /// ⟨ΔW₁, ΔW₂⟩ / (‖ΔW₁‖ ‖ΔW₂‖), from -1 to 1; 0 when one is zero.
        package let cosine: Double
        /// ‖U₁ᵀU₂‖²_F / min(r₁, r₂) of the column spaces (what the layer puts out), from 0 to 1.
        package let columnOverlap: Double
        /// ‖V₁ᵀV₂‖²_F / min(r₁, r₂) of the row spaces (what the layer reads), from 0 to 1.
        package let rowOverlap: Double

        /// √(columnOverlap · rowOverlap) · (1 - cosine) / 2, from 0 to 1: 1 when one delta is the other's negative, 0
        /// when they are the same or work in spaces that do not meet.
        package var clash: Double { (columnOverlap * rowOverlap).squareRoot() * (1 - cosine) / 2 }
    }

    /// One parameter that both tasks of a pair change.
    package struct ParameterInterference: Sendable {
        /// The parameter's canonical name.
        package let parameter: String
        /// What was measured.
        package let measure: Measure
        /// ‖ΔW₁‖ ‖ΔW₂‖, the weight with which the parameter counts.
        package let weight: Double
    }

    /// Two tasks.
    package struct Pair: Sendable {
        /// The task that was given first.
        package let first: String
        /// The other one.
        package let second: String
        /// The parameters that both change, in the order of the layers.
        package let parameters: [ParameterInterference]
        /// The ratio of the norms over these parameters, and the means of the rest, weighted by
        /// `ParameterInterference.weight`.
        package let measure: Measure

        /// The mean of the parameters' clashes by weight.
        package var clash: Double {
            let total = parameters.reduce(0) { $0 + $1.weight }
            return total > 0 ? parameters.reduce(0) { $0 + $1.weight * $1.measure.clash } / total : 0
        }

        /// The parameter that contributes most to the clash, or nil when there is none.
        package var worst: ParameterInterference? {
            parameters.max { $0.weight * $0.measure.clash < $1.weight * $1.measure.clash }
                .flatMap { $0.measure.clash > 0 ? $0 : nil }
        }
    }

    /// Every pair, in the order in which the tasks were given.
    package let pairs: [Pair]
    /// ‖ΔW‖ over all of a task's parameters, in the order of the tasks.
    package let norms: [Double]

    /// The pair that clashes most, or nil when nothing clashes.
    package var worst: Pair? { pairs.max { $0.clash < $1.clash }.flatMap { $0.clash > 0 ? $0 : nil } }

    /// Measures tasks by their deltas.
    ///
    /// - Throws: `ModelError` naming a parameter whose delta has values that are not finite.
    package init(_ tasks: [TaskVector]) throws {
        try self.init(tasks.map(\.task), parameters: Set(tasks.flatMap(\.deltas.keys))) { tasks[$0].deltas[$1] }
    }

    /// Measures adapters over the base that they were trained on, one parameter at a time.
    ///
    /// - Throws: errors of reading the base; `ModelError` naming a parameter whose delta has values that are not
    ///   finite.
    package init(_ adapters: [Adapter], base: Checkpoint) throws {
        try self.init(adapters.map(\.task), parameters: Set(adapters.flatMap(\.changedParameters))) { index, name in
            guard adapters[index].changedParameters.contains(name) else { return nil }
            return adapters[index].delta(name, of: try base.parameter(name))
        }
    }

    private init(_ tasks: [String], parameters: Set<String>, delta: (Int, String) throws -> WeightDelta?) throws {
        let indices = tasks.indices.flatMap { first in (first + 1..<max(tasks.count, first + 1)).map { (first, $0) } }
        var interferences = [[ParameterInterference]](repeating: [], count: indices.count)
        var squares = [(Double, Double)](repeating: (0, 0), count: indices.count)
        var norms = [Double](repeating: 0, count: tasks.count)
        for (done, parameter) in parameters.sorted(by: ParameterNames.isBefore).enumerated() {
            try LongWork.report("comparing layers", done, of: parameters.count)
            let parts = try tasks.indices.map {
                try delta($0, parameter).map { try DeltaSVD($0, of: parameter) }
            }
            for (index, part) in parts.enumerated() { norms[index] += part.map { $0.norm * $0.norm } ?? 0 }
            for (pair, (first, second)) in indices.enumerated() {
                guard let one = parts[first], let other = parts[second] else { continue }
                interferences[pair].append(
                    ParameterInterference(
                        parameter: parameter, measure: one.measure(other), weight: one.norm * other.norm))
                squares[pair].0 += one.norm * one.norm
                squares[pair].1 += other.norm * other.norm
            }
        }
        self.norms = norms.map { $0.squareRoot() }
        pairs = indices.enumerated().map { pair, tasksOfPair in
            let (one, other) = squares[pair]
            return Pair(
                first: tasks[tasksOfPair.0], second: tasks[tasksOfPair.1], parameters: interferences[pair],
                measure: Interference.mean(interferences[pair], ratio: other > 0 ? (one / other).squareRoot() : nil))
        }
    }

    private static func mean(_ parameters: [ParameterInterference], ratio: Double?) -> Measure {
        let total = parameters.reduce(0) { $0 + $1.weight }
        func mean(_ value: (Measure) -> Double) -> Double {
            total > 0 ? parameters.reduce(0) { $0 + $1.weight * value($1.measure) } / total : 0
        }
        return Measure(
            normRatio: ratio, cosine: mean(\.cosine), columnOverlap: mean(\.columnOverlap),
            rowOverlap: mean(\.rowOverlap))
    }
}

extension DeltaSVD {
    /// How this delta and another of the same parameter interfere.
    fileprivate func measure(_ other: DeltaSVD) -> Interference.Measure {
        let columns = Matrix.product(u, transposed: true, other.u)
        let rows = Matrix.product(vt, transposed: false, other.vt, transposed: true)
        var inner = 0.0
        for row in 0..<columns.rows {
            for column in 0..<columns.columns {
                inner += values[row] * other.values[column] * columns[row, column] * rows[row, column]
            }
        }
        let least = Double(min(values.count, other.values.count))
        func overlap(_ product: Matrix) -> Double { least > 0 ? min(1, product.norm * product.norm / least) : 0 }
        return Interference.Measure(
            normRatio: other.norm > 0 ? norm / other.norm : nil,
            cosine: least > 0 ? max(-1, min(1, inner / (norm * other.norm))) : 0,
            columnOverlap: overlap(columns), rowOverlap: overlap(rows))
    }
}
