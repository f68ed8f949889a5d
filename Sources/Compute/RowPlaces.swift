import Tensors

extension Kernel {
    /// Whether a linear layer over several rows gives equal rows equal results, to the last bit, wherever they are,
    /// and the same as over another number of rows.
    ///
    /// Libraries may compute the last rows, or few of them, by other code than the rest, which adds up in another
    /// order. This computes random rows that are all the same, and compares the results.
    ///
    /// - Parameters:
    ///   - others: the other number of rows.
    ///   - sourceStride: as in `linear`.
    ///   - outputStride: as in `linear`.
    ///   - operands: as in `linear`; the result is f32.
    /// - Throws: `ComputeError` when the library has no kernel for the shape, or it fails.
    package static func computesRowsAlike(
        _ engine: KernelEngine, rows: Int, asOf others: Int, inputs: Int, outputs: Int, sourceStride: Int,
        outputStride: Int,
        operands: OperandType
    ) throws(ComputeError) -> Bool {
        var state: UInt64 = 1
        func noise(_ count: Int) -> [Float] {
            (0..<count).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return Float(Int32(truncatingIfNeeded: state >> 32)) / Float(1 << 31)
            }
        }
        let (row, weight) = (noise(inputs), noise(inputs * outputs))
        func results(_ rows: Int) throws(ComputeError) -> FloatBuffer {
            let kernel = try linear(
                engine, rows: rows, inputs: inputs, outputs: outputs, sourceStride: sourceStride,
                outputStride: outputStride, hasBias: false, accumulates: true, operands: operands)
            let source = NumberBuffer(operands, count: (rows - 1) * sourceStride + inputs)
            for number in 0..<rows { source.set(row, count: inputs, at: number * sourceStride) }
            let result = FloatBuffer(count: (rows - 1) * outputStride + outputs)
            result.base.update(repeating: 0, count: result.count)
            try KernelCall(
                kernel, source: Operand(source), weights: Operand(try kernel.pack(weight)),
                destination: Operand(result), scratch: FloatBuffer(count: kernel.scratchCount)
            ).run()
            return result
        }
        let result = try results(rows)
        let expected = try rows == others ? result : results(others)
        return (0..<rows).allSatisfy { number in
            (0..<outputs).allSatisfy { result.base[number * outputStride + $0] == expected.base[$0] }
        }
    }
}
