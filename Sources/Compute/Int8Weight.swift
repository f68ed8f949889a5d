internal import CKernels

extension Int8 {
    /// A linear layer's weight in eight bits.
    package struct Weight: Sendable, Equatable {
        /// Whole numbers of -127...127, (outputs, inputs).
        package let values: [Swift.Int8]
        /// For each output, their factor.
        package let scale: [Float]

        /// A weight that is quantized already.
        package init(values: [Swift.Int8], scale: [Float]) {
            self.values = values
            self.scale = scale
        }

        /// Rounds a weight, (outputs, inputs), each of its values to the nearest step.
        package init(_ weight: [Float], outputs: Int) {
            let inputs = weight.count / max(outputs, 1)
            let scale = Self.scales(weight, outputs: outputs)
            values = [Swift.Int8](unsafeUninitializedCapacity: weight.count) { result, count in
                mv_int8_round_weights(weight, scale, result.baseAddress, outputs, inputs)
                count = weight.count
            }
            self.scale = scale
        }

        /// Rounds a weight, (outputs, inputs), so that its products with inputs like the measured ones change least.
        ///
        /// This is the closest vector problem, approximated by Babai's nearest plane: with moments H = Rᵀ R, R upper
        /// triangular, an error e of a row costs ‖R e‖², and each value, from the last, is rounded after it is
        /// corrected for the errors so far. It is GPTQ (Frantar et al., arXiv 2210.17323) in reversed order (Chen et
        /// al., arXiv 2507.18553). The inputs with the largest moments come last.
        ///
        /// - Parameters:
        ///   - moments: Σ x xᵀ / n of what the layer reads, (inputs, inputs).
        /// - Throws: `ComputeError` when the moments are not finite.
        package init(_ weight: [Float], outputs: Int, moments: Matrix) throws(ComputeError) {
            let inputs = moments.rows
            let diagonal = (0..<inputs).map { moments[$0, $0] }
            let mean = diagonal.reduce(0, +) / Double(max(inputs, 1))
            guard mean > 0 else {
                self.init(weight, outputs: outputs)
                return
            }
            let order = diagonal.indices.sorted { (diagonal[$0], $0) < (diagonal[$1], $1) }
            let factor = try Self.factor(moments, order, mean)
            let scale = Self.scales(weight, outputs: outputs)
            let ordered = [Float](unsafeUninitializedCapacity: weight.count) { result, count in
                for row in 0..<outputs {
                    for (position, input) in order.enumerated() {
                        result.initializeElement(at: row * inputs + position, to: weight[row * inputs + input])
                    }
                }
                count = weight.count
            }
            var errors = [Float](repeating: 0, count: inputs * Int(MV_INT8_TILE))
            var rounded = [Swift.Int8](repeating: 0, count: weight.count)
            mv_int8_round_weights_in_turn(ordered, factor, scale, &rounded, &errors, outputs, inputs)
            var values = rounded
            for row in 0..<outputs {
                for (position, input) in order.enumerated() {
                    values[row * inputs + input] = rounded[row * inputs + position]
                }
            }
            self.init(values: values, scale: scale)
        }

        /// For each output, the sum of its whole numbers.
        package var sums: [Int] {
            let inputs = values.count / max(scale.count, 1)
            return scale.indices.map { row in
                values[row * inputs..<(row + 1) * inputs].reduce(0) { $0 + Int($1) }
            }
        }

        /// The whole numbers as floats, which kernels pack.
        package var floats: [Float] { values.map(Float.init) }

        private static func scales(_ weight: [Float], outputs: Int) -> [Float] {
            [Float](unsafeUninitializedCapacity: outputs) { result, count in
                mv_int8_weight_scales(weight, result.baseAddress, outputs, weight.count / max(outputs, 1))
                count = outputs
            }
        }

        /// What is added to the diagonal, as a share of its mean, for inputs that hardly vary: the first that suffices
        /// for sums of few inputs in single precision.
        private static let damping = [0.01, 0.1, 1]

        /// The rows of R divided by their diagonal, inputs in another order.
        private static func factor(_ moments: Matrix, _ order: [Int], _ mean: Double) throws(ComputeError) -> [Float] {
            let size = order.count
            var ordered = Matrix(rows: size, columns: size)
            for (row, from) in order.enumerated() {
                for (column, other) in order.enumerated() {
                    ordered.values[row * size + column] = moments.values[from * size + other]
                }
            }
            var cholesky: Matrix?
            var failure: ComputeError?
            for part in damping where cholesky == nil {
                for (position, from) in order.enumerated() {
                    ordered.values[position * size + position] = moments.values[from * size + from] + part * mean
                }
                do throws(ComputeError) { cholesky = try ordered.choleskyFactor() } catch { failure = error }
            }
            guard let root = cholesky else {
                throw failure ?? ComputeError(operation: "round weights", reason: "no damping")
            }
            return [Float](unsafeUninitializedCapacity: size * size) { result, count in
                for row in 0..<size {
                    let inverse = 1 / root.values[row * size + row]
                    for column in 0..<size {
                        result.initializeElement(
                            at: row * size + column, to: Float(root.values[row * size + column] * inverse))
                    }
                }
                count = size * size
            }
        }
    }
}
