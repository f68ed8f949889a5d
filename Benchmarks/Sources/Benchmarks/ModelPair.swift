import VisionTransformers

/// Two models over the same images, timed in turn in one run.
struct ModelPair {
    private let plain, other: MultitaskModel

    init(_ plain: MultitaskModel, _ other: MultitaskModel) { (self.plain, self.other) = (plain, other) }

    /// The median ratio of the other's time for a batch of noise to that of the plain one, and the ratio of operations.
    func ratios(batch: Int, turns: Int) throws -> (time: Double, operations: Double) {
        var noise = RandomBackbone.Noise(state: 7)
        let inputs = (0..<batch * plain.inputCount).map { _ in noise.next() }
        var logits = [Float](repeating: 0, count: batch * plain.classCount)
        func seconds(_ model: MultitaskModel) throws -> Double {
            let start = ContinuousClock.now
            try model.run(inputs, images: batch, logits: &logits)
            let (seconds, attoseconds) = (ContinuousClock.now - start).components
            return Double(seconds) + Double(attoseconds) * 1e-18
        }
        _ = (try seconds(plain), try seconds(other))
        let ratios = try (0..<turns).map { _ in
            let first = try seconds(plain)
            let second = try seconds(other)
            return second / ((first + (try seconds(plain))) / 2)
        }
        return (median(ratios), other.operationsPerImage / plain.operationsPerImage)
    }
}
