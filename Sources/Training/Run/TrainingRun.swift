package import Compute
import Evaluation
import Files
package import Tensors
import VisionTransformers

/// Trains a classifier: batches in random order, validation after each epoch, and the parameters of the best or the
/// last epoch as the result.
///
/// The result depends only on the classifier's initial state, the examples and the settings: not on the number of
/// threads, nor on interruptions that resume from a snapshot.
package final class TrainingRun {
    private let classifier: any TrainableClassifier
    private let training: any Examples
    private let validation: (any Examples)?
    private let settings: RunSettings
    private let pool: WorkerPool
    private let schedule: LearningRateSchedule
    private let stepsPerEpoch: Int
    private let classWeights: [Float]?
    private let labels: LabelTargets?
    private let inputs: FloatBuffer
    private var order: (epoch: Int, images: [Int]) = (-1, [])
    private var state = RunState()
    private var kept: [(name: String, tensor: Tensor)] = []

    /// A run from the classifier's current state.
    ///
    /// - Parameters:
    ///   - classifier: the classifier to train.
    ///   - training: the training examples; not empty.
    ///   - validation: chooses the best epoch; without it the last epoch is the best.
    ///   - labels: the sets of labels, where an image may show several; then the examples' classes are indices of sets.
    ///   - settings: the settings of the run.
    ///   - pool: the threads that make inputs.
    package init(
        _ classifier: any TrainableClassifier, training: any Examples, validation: (any Examples)?,
        labels: LabelTargets? = nil, settings: RunSettings, pool: WorkerPool
    ) {
        (self.classifier, self.training, self.settings, self.pool) = (classifier, training, settings, pool)
        self.validation = validation.flatMap { $0.classes.isEmpty ? nil : $0 }
        let images = training.classes.count
        stepsPerEpoch = settings.stepsPerEpoch(images: images)
        schedule = LearningRateSchedule(
            settings.schedule, peak: settings.learningRate, warmup: settings.warmup,
            steps: settings.steps(images: images))
        self.labels = labels
        classWeights =
            settings.balances && labels == nil
            ? Self.balance(training.classes, classes: classifier.classCount) : nil
        inputs = FloatBuffer(count: settings.batchSize * classifier.inputCount)
    }

    /// The weights that balance classes: images / (classes · images of the class).
    private static func balance(_ classes: [Int], classes count: Int) -> [Float] {
        var images = [Int](repeating: 0, count: count)
        for label in classes { images[label] += 1 }
        return images.map { $0 > 0 ? Float(Double(classes.count) / Double(count * $0)) : 0 }
    }

    /// Whether all steps are taken, or the last epochs brought no improvement.
    package var isFinished: Bool {
        guard let last = state.records.last else { return schedule.steps == 0 }
        if last.steps == schedule.steps { return true }
        guard let patience = settings.patience, let best = bestRecord else { return false }
        return last.epoch - best.epoch >= patience
    }

    /// The finished epochs.
    package var records: [EpochRecord] { state.records }
    /// The best epoch; the first of equal ones.
    package var bestRecord: EpochRecord? {
        state.records.reduce(nil) { best, record in best.map { isBetter(record, $0) ? record : $0 } ?? record }
    }

    private func isBetter(_ record: EpochRecord, _ other: EpochRecord) -> Bool {
        record.isBetter(than: other, isBalanced: settings.balances)
    }

    /// The epoch whose parameters are kept.
    package var keptRecord: EpochRecord? { state.kept }
    /// The parameters after that epoch, or the current ones before the first epoch is finished.
    package var keptParameters: [(name: String, tensor: Tensor)] { kept.isEmpty ? classifier.parameters : kept }
    /// Optimiser steps taken.
    package var steps: Int { state.steps }
    /// All steps, if the run does not end early.
    package var totalSteps: Int { schedule.steps }

    /// The state that the run can resume from.
    package var snapshot: TrainingSnapshot {
        TrainingSnapshot(state: state, classifier: classifier.state, kept: kept)
    }

    /// Restores a snapshot of a run with the same classifier, examples and settings.
    ///
    /// - Throws: `ModelError` when the snapshot's classifier differs.
    package func restore(_ snapshot: TrainingSnapshot) throws {
        try classifier.restore(snapshot.classifier)
        (state, kept) = (snapshot.state, snapshot.kept)
    }

    /// Takes one step, or ends the epoch after its last step. Must not be called when the run is finished.
    ///
    /// - Throws: `ModelError` when the loss is not finite; `ComputeError` when a kernel fails.
    package func advance() throws -> TrainingEvent {
        let position = state.steps - state.records.count * stepsPerEpoch
        guard position < stepsPerEpoch, state.steps < schedule.steps else { return try endEpoch() }
        return try step(position)
    }

    private func step(_ position: Int) throws -> TrainingEvent {
        let epoch = state.records.count
        let images = training.classes.count
        if order.epoch != epoch {
            var generator = SplitMix64.order(seed: settings.seed, epoch: epoch)
            order = (epoch, generator.permutation(images))
        }
        let start = position * settings.batchSize
        let batch = order.images[start..<min(start + settings.batchSize, images)]
        fill(batch, training, epoch: epoch)
        let classes = batch.map { training.classes[$0] }
        let rate = schedule.rate(state.steps)
        let outcome = try classifier.step(
            TrainingBatch(
                inputs: inputs.base, classes: classes,
                weights: classWeights.map { weights in classes.map { weights[$0] } }),
            learningRate: rate)
        state.steps += 1
        state.lossSum += outcome.loss * Double(batch.count)
        state.correct += outcome.correct
        state.seen += batch.count
        return .step(
            StepReport(
                epoch: epoch + 1, epochs: settings.epochs, step: state.steps, steps: schedule.steps,
                images: batch.count,
                learningRate: rate, loss: outcome.loss, epochLoss: state.lossSum / Double(state.seen),
                epochAccuracy: Double(state.correct) / Double(state.seen)))
    }

    private func endEpoch() throws -> TrainingEvent {
        let judged = try validation.map(judge)
        let record = EpochRecord(
            epoch: state.records.count + 1, steps: state.steps, loss: state.lossSum / Double(max(state.seen, 1)),
            accuracy: Double(state.correct) / Double(max(state.seen, 1)), validationLoss: judged?.loss,
            validationAccuracy: judged?.accuracy, validationMeanAveragePrecision: judged?.meanAveragePrecision,
            validationBalancedAccuracy: judged?.recalls.balancedAccuracy, leastRecalled: judged?.recalls.least)
        let isBest = bestRecord.map { isBetter(record, $0) } ?? true
        state.records.append(record)
        (state.lossSum, state.correct, state.seen) = (0, 0, 0)
        if isBest || settings.keeps == .last { (state.kept, kept) = (record, classifier.parameters) }
        return .epoch(record, isBest: isBest)
    }

    /// Makes the inputs of a batch.
    private func fill(_ batch: ArraySlice<Int>, _ examples: any Examples, epoch: Int) {
        let count = classifier.inputCount
        pool.forEach(batch.count) { _, place in
            examples.write(
                batch[batch.startIndex + place], epoch: epoch,
                into: UnsafeMutableBufferPointer(start: inputs.base + place * count, count: count))
        }
    }

    /// The mean cross entropy of examples, the share of correct predictions, also by class, and, where images may show
    /// several labels, the mean average precision (0 if no image shows a label).
    private func judge(
        _ examples: any Examples
    ) throws -> (loss: Double, accuracy: Double, meanAveragePrecision: Double?, recalls: ClassRecalls) {
        let (images, classes) = (examples.classes.count, classifier.classCount)
        let logits = FloatBuffer(count: settings.batchSize * classes)
        let entropy = try ClassificationLoss(
            labels: labels.map { LabelTargets(sets: $0.sets) }, classes: classes, labelSmoothing: 0)
        var scores: [[Double]] = []
        let unused = FloatBuffer(count: classes)
        var (loss, correct) = (0.0, 0)
        var recalls = ClassRecalls(classes: labels == nil ? classes : 0)
        for start in stride(from: 0, to: images, by: settings.batchSize) {
            try LongWork.report("validating epoch \(state.records.count + 1)", start, of: images)
            let batch = Array(start..<min(start + settings.batchSize, images))[...]
            fill(batch, examples, epoch: 0)
            try classifier.predict(inputs.base, images: batch.count, logits: logits.base)
            for (place, example) in batch.enumerated() {
                let (row, target) = (logits.base + place * classes, examples.classes[example])
                loss += entropy.evaluate(row, classes: classes, target: target, weight: 1, gradient: unused.base)
                let isRight = entropy.isRight(row, classes: classes, target: target)
                if isRight { correct += 1 }
                if labels == nil { recalls.add(target, isRight: isRight) }
                if labels != nil { scores.append((0..<classes).map { Double(row[$0]) }) }
            }
        }
        guard loss.isFinite else { throw ModelError("validation", "the loss is not a finite number") }
        let precision = labels.map { labels in
            meanAveragePrecision(scores: scores, labels: examples.classes.map { labels.sets[$0] }) ?? 0
        }
        return (loss / Double(images), Double(correct) / Double(images), precision, recalls)
    }
}

/// How many images of each class have a correct prediction; of no class where images may show several labels.
private struct ClassRecalls {
    private var counts: [(correct: Int, images: Int)]

    init(classes: Int) { counts = Array(repeating: (0, 0), count: classes) }

    mutating func add(_ index: Int, isRight: Bool) {
        counts[index].images += 1
        if isRight { counts[index].correct += 1 }
    }

    private var shares: [Double] {
        counts.filter { $0.images > 0 }.map { Double($0.correct) / Double($0.images) }
    }

    /// The mean share over the classes that have images.
    var balancedAccuracy: Double? { shares.isEmpty ? nil : shares.reduce(0, +) / Double(shares.count) }

    /// The class with the smallest share, of those that with the most images, of those the first.
    var least: EpochRecord.ClassRecall? {
        counts.enumerated().filter { $1.images > 0 }.min { a, b in
            let (left, right) = (a.element.correct * b.element.images, b.element.correct * a.element.images)
            return left == right ? a.element.images > b.element.images : left < right
        }.map { EpochRecord.ClassRecall(index: $0.offset, correct: $0.element.correct, images: $0.element.images) }
    }
}
