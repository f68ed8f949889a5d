import Compute
import Glibc
import Tensors
import TestSupport
import Testing
import VisionTransformers

@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Training

@Suite struct BinaryCrossEntropyTests {
    static let logits: [Float] = [0.5, -1.25, 2, 0.25, -30]
    static let weights = [1.5, 0.5, 3, 1, 2]

    private func loss(smoothing: Double = 0, weights: [Double]? = nil) throws -> BinaryCrossEntropy {
        var targets = LabelTargets(sets: [[], [0, 2, 4]])
        targets.positiveWeights = weights
        return try BinaryCrossEntropy(targets, classes: 5, labelSmoothing: smoothing)
    }

    /// By torch.nn.functional.binary_cross_entropy_with_logits in double precision; smoothed targets are 0.9 and 0.1.
    @Test(
        arguments: [
            (
                0, nil, 6.335774699289479,
                [-0.07550813375962909, 0.04454002776506177, -0.023840584404423538, 0.11243530017715961, -0.2]
            ),
            (
                0, weights, 12.433953602124696,
                [-0.11326220063944362, 0.04454002776506177, -0.07152175321327059, 0.11243530017715961, -0.4]
            ),
            (
                0.2, nil, 5.805774699289477,
                [-0.05550813375962908, 0.024540027765061766, -0.0038405844044235417, 0.09243530017715962, -0.18]
            ),
            (
                0.2, weights, 11.27911642102772,
                [-0.08948679395146217, 0.03231302637680868, -0.0467536363323859, 0.09243530017715962, -0.36]
            ),
        ] as [(Double, [Double]?, Double, [Double])])
    func lossAndGradientAreThoseOfPyTorch(
        _ smoothing: Double, _ weights: [Double]?, _ expected: Double, _ slopes: [Double]
    ) throws {
        var gradient = [Float](repeating: 0, count: 5)
        let found = try loss(smoothing: smoothing, weights: weights)
            .evaluate(Self.logits, classes: 5, target: 1, weight: 1, gradient: &gradient)
        #expect(abs(found - expected) < 1e-12)
        for (found, expected) in zip(gradient, slopes) { #expect(abs(Double(found) - expected) < 1e-7) }
    }

    @Test(arguments: [0, 0.1, 1], [nil, weights])
    func gradientAgreesWithDifferences(smoothing: Double, weights: [Double]?) throws {
        let loss = try loss(smoothing: smoothing, weights: weights)
        var gradient = [Float](repeating: 0, count: 5)
        var unused = gradient
        for own in 0..<2 {
            _ = loss.evaluate(Self.logits, classes: 5, target: own, weight: 0.5, gradient: &gradient)
            for index in 0..<5 {
                var (above, below) = (Self.logits, Self.logits)
                above[index] += 0x1p-8
                below[index] -= 0x1p-8
                let difference =
                    loss.evaluate(above, classes: 5, target: own, weight: 1, gradient: &unused)
                    - loss.evaluate(below, classes: 5, target: own, weight: 1, gradient: &unused)
                #expect(abs(Double(gradient[index]) - 0.5 * difference / 0x1p-7) < 1e-5)
            }
        }
    }

    @Test func largeLogitsDoNotOverflow() throws {
        var gradient = [Float](repeating: 0, count: 5)
        let found = try loss().evaluate(
            [3e38, -3e38, -3e38, 3e38, 0], classes: 5, target: 1, weight: 1, gradient: &gradient)
        #expect(found.isFinite && gradient == [0, 0, -0.2, 0.2, -0.1])
    }

    @Test func anImageIsRightWithExactlyItsLabels() throws {
        let loss = try loss()
        #expect(loss.isRight([1, -1, 0, -0.1, 2], classes: 5, target: 1))
        #expect(!loss.isRight([1, 1, 1, -1, 2], classes: 5, target: 1))
        #expect(!loss.isRight([1, -1, 1, -1, -2], classes: 5, target: 1))
        #expect(loss.isRight([-1, -1, -1, -1, -1], classes: 5, target: 0))
    }

    @Test func targetsThatDoNotFitAreRefused() {
        for (sets, weights, smoothing) in [
            ([[5]], nil, 0), ([[-1]], nil, 0), ([[0]], [1], 0), ([[0]], [1, 1, 1, 1, 0], 0),
            ([[0]], [1, 1, 1, 1, .infinity], 0), ([[0]], nil, 1.5),
        ] as [([[Int]], [Double]?, Double)] {
            var targets = LabelTargets(sets: sets)
            targets.positiveWeights = weights
            #expect(throws: ModelError.self) {
                try BinaryCrossEntropy(targets, classes: 5, labelSmoothing: smoothing)
            }
        }
        #expect(LabelTargets(sets: [[0, 1], [1], []]).balance([0, 1, 2, 2], classes: 2) == [3, 1])
    }
}

/// Six steps that PyTorch, transformers and PEFT took with BCEWithLogitsLoss and its pos_weight.
@Suite struct LabelReferenceTests {
    let run: ReferenceRun
    let losses: [Double]
    let labels: LabelTargets
    /// An image of class 4 shows nothing, each other image its class and every second also that two places on.
    let targets: [[Int]]

    init() throws {
        run = try ReferenceRun("lora")
        let file = try #require(try JSON(contentsOf: ReferenceRun.file("labels.json")).objectValue)
        losses = try #require(file["losses"]?.arrayValue).compactMap(\.doubleValue)
        var labels = LabelTargets(sets: (0..<4).map { [$0] } + [[]] + (0..<4).map { [$0, ($0 + 2) % 5].sorted() })
        labels.positiveWeights = try #require(file["pos_weight"]?.arrayValue).compactMap(\.doubleValue)
        self.labels = labels
        targets = run.classes.map { classes in
            classes.enumerated().map { index, label in label == 4 || index % 2 == 1 ? label : label + 5 }
        }
    }

    private func steps(_ trainer: AdapterTrainer, tolerance: Double) throws {
        let count = 8 * trainer.inputCount
        for (number, targets) in targets.enumerated() {
            let batch = Array(run.inputs[number * count..<(number + 1) * count])
            let outcome = try step(trainer, batch, targets, learningRate: run.learningRate)
            #expect(abs(outcome.loss - losses[number]) < tolerance, "step \(number)")
            if number == 0, tolerance < 1e-3 {
                TrainingReferenceTests().expectGradients(
                    trainer.lastGradients, try ReferenceRun.tensors("labels_grads0.safetensors"))
            }
        }
    }

    @Test(arguments: [1, 2])
    func adapter(threads: Int) throws {
        try steps(TrainingReferenceTests().trainer(run, labels: labels, threads: threads), tolerance: 1e-4)
    }

    @Test(.enabled(if: OperandType.bf16.isSupported, "the processor has no instructions for bf16"))
    func adapterInBFloat16() throws {
        try steps(TrainingReferenceTests().trainer(run, labels: labels, precision: .bf16, threads: 2), tolerance: 2e-2)
    }
}

/// The loop over epochs with several labels per image.
@Suite struct LabelRunTests {
    /// The corners of a cube by number; the labels are the axes along which a corner is off the origin.
    static let sets = [[], [0], [1], [0, 1], [2], [0, 2], [1, 2], [0, 1, 2]]
    static let training = Points(classes: (0..<90).map { $0 * 7 % 8 }, seed: 1)
    static let validation = Points(classes: (0..<40).map { $0 % 8 }, seed: 2, moves: false)

    private func run(_ change: (inout RunSettings) -> Void = { _ in }) throws -> TrainingRun {
        var settings = RunSettings()
        (settings.epochs, settings.batchSize, settings.learningRate) = (12, 16, 0.1)
        change(&settings)
        let labels = LabelTargets(sets: Self.sets)
        return TrainingRun(
            try HeadTrainer(features: 3, classes: 3, labels: labels, seed: 1), training: Self.training,
            validation: Self.validation, labels: labels, settings: settings, pool: try WorkerPool(workers: 2))
    }

    private func finished(_ run: TrainingRun) throws -> TrainingRunTests.Result {
        try TrainingRunTests.finished(run)
    }

    @Test func itLearns() throws {
        let run = try run()
        let result = try finished(run)
        let best = try #require(result.best)
        #expect(try #require(best.validationMeanAveragePrecision) > 0.95)
        #expect(best == result.records.max { $1.isBetter(than: $0) })
        #expect(
            best.validationMeanAveragePrecision == result.records.compactMap(\.validationMeanAveragePrecision).max())
        // What the kept parameters answer is what the record says.
        let trainer = try HeadTrainer(
            features: 3, classes: 3, seed: 1,
            initial: Dictionary(run.keptParameters.map { ($0.name, $0.tensor) }) { $1 })
        let inputs = (0..<40).flatMap { example in
            var input = [Float](repeating: 0, count: 3)
            input.withUnsafeMutableBufferPointer { Self.validation.write(example, epoch: 0, into: $0) }
            return input
        }
        var logits = [Float](repeating: 0, count: 120)
        trainer.predict(inputs, images: 40, logits: &logits)
        let exact = (0..<40).count { image in
            (0..<3).filter { logits[image * 3 + $0] >= 0 } == Self.sets[Self.validation.classes[image]]
        }
        #expect(best.validationAccuracy == Double(exact) / 40)
    }

    @Test func aRunGoesOnFromEveryMomentToTheSameBits() throws {
        let whole = try finished(run { $0.epochs = 3 })
        let run = try run { $0.epochs = 3 }
        while !run.isFinished {
            let other = try self.run { $0.epochs = 3 }
            var snapshot = run.snapshot
            // By way of the JSON of a checkpoint.
            snapshot.state = try #require(RunState(snapshot.state.json))
            try other.restore(snapshot)
            #expect(try finished(other) == whole)
            _ = try run.advance()
        }
    }
}
