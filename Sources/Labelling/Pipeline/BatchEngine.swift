import Datasets

/// A model that computes the logits of all its tasks in one pass. It is called from one thread only.
package protocol MultitaskClassifying {
    /// The tasks, in the order of their logits.
    var tasks: [TaskLabels] { get }

    /// Which columns of the features the heads of which tasks read, in the order of the columns.
    var featureColumns: [FeatureColumns] { get }

    /// Makes the model ready, if it is not yet. Called before `logits`.
    ///
    /// - Throws: any error; it ends the run.
    func prepare() throws

    /// Computes the logits of a batch, and how well its images fit the tasks.
    ///
    /// - Parameters:
    ///   - inputs: the prepared images, one after the other.
    ///   - output: the outputs, of shape (images, `tasks.outputCount`): the logits of the tasks in their order, then
    ///     the fit of each task that has one, 0 to 1.
    ///   - features: receives the features that the heads read, of shape (images, feature columns), or nil.
    /// - Throws: any error; it ends the run.
    func logits(
        _ inputs: UnsafeBufferPointer<Float>, images: Int, into output: UnsafeMutableBufferPointer<Float>,
        features: UnsafeMutablePointer<Float>?
    ) throws
}

extension MultitaskClassifying {
    /// None: most classifiers are not asked for features.
    package var featureColumns: [FeatureColumns] { [] }

    /// Does nothing: most classifiers are ready from the beginning.
    package func prepare() {}
}

/// Takes batches from the ring, runs the model on them, and passes its predictions on.
struct BatchEngine: ~Copyable {
    private let ring: PrefetchRing
    private let workers: DecodeWorkers
    private let classifier: any MultitaskClassifying
    private let batchSize: Int
    private let valuesPerImage: Int
    /// The number of outputs for an image.
    private let outputs: Int
    private let inputs: UnsafeMutableBufferPointer<Float>
    private let logits: UnsafeMutableBufferPointer<Float>
    /// The features of the batch, (images, `featureCount`); empty unless the sink takes them.
    private let features: UnsafeMutableBufferPointer<Float>
    private let featureCount: Int
    /// The paths of the batch; the storage is reused for every batch.
    private var paths: [[UInt8]] = []
    /// For each input of the batch, the reason why it has no image.
    private var failures: [InputFailure?] = []
    /// For each input of the batch, what it was when it was read.
    private var identities: [InputIdentity?] = []
    /// For each input of the batch, its row of an earlier run.
    private var reusedRows: [Int?] = []
    var progress: LabellingProgress

    init(
        ring: PrefetchRing, workers: DecodeWorkers, classifier: any MultitaskClassifying, batchSize: Int,
        valuesPerImage: Int, takesFeatures: Bool, progress: LabellingProgress
    ) {
        self.ring = ring
        self.workers = workers
        self.progress = progress
        self.classifier = classifier
        self.batchSize = batchSize
        self.valuesPerImage = valuesPerImage
        outputs = classifier.tasks.outputCount
        inputs = .allocate(capacity: batchSize * valuesPerImage)
        inputs.initialize(repeating: 0)
        logits = .allocate(capacity: batchSize * outputs)
        logits.initialize(repeating: 0)
        featureCount = takesFeatures ? classifier.featureColumns.last?.columns.upperBound ?? 0 : 0
        features = .allocate(capacity: batchSize * featureCount)
        features.initialize(repeating: 0)
    }

    deinit {
        inputs.deallocate()
        logits.deallocate()
        features.deallocate()
    }

    /// Runs one batch; returns false when there is none left or the run is to stop.
    mutating func step(_ sink: some PredictionSink, _ isStopped: () -> Bool) throws -> Bool {
        guard let slots = try ring.take(images: batchSize, unless: isStopped, abandoned: workers.replaceOne) else {
            progress.isStopped = !ring.isDrained
            return false
        }
        let images = gather(slots)
        ring.release(slots.count)
        if images > 0 {
            try classifier.prepare()
            do {
                try classifier.logits(
                    UnsafeBufferPointer(rebasing: inputs[..<(images * valuesPerImage)]), images: images,
                    into: UnsafeMutableBufferPointer(rebasing: logits[..<(images * outputs)]),
                    features: featureCount > 0 ? features.baseAddress : nil)
            } catch {
                throw LabellingError.model("\(error)")
            }
        }
        var image = 0
        for index in slots.indices {
            sink.take(identities[index])
            if let row = reusedRows[index] {
                let outcome = try sink.appendReused(row, path: paths[index])
                if outcome == .belowThreshold { progress.belowThreshold += 1 }
                progress.reused += 1
                continue
            }
            if let failure = failures[index] {
                sink.appendFailure(path: paths[index], reason: failure.reason)
                count(failure, paths[index])
                continue
            }
            if featureCount > 0 {
                sink.take(
                    features: UnsafeBufferPointer(
                        rebasing: features[(image * featureCount)..<((image + 1) * featureCount)]))
            }
            let imageLogits = UnsafeBufferPointer(rebasing: logits[(image * outputs)..<((image + 1) * outputs)])
            switch sink.append(path: paths[index], logits: imageLogits) {
            case .accepted: break
            case .belowThreshold: progress.belowThreshold += 1
            case .failed(let failure): count(failure, paths[index])
            }
            image += 1
        }
        progress.done += slots.count
        progress.total = ring.total.map { $0 + progress.resumed }
        return true
    }

    private mutating func count(_ failure: InputFailure, _ path: [UInt8]) {
        progress.failed += 1
        progress.failures.add(path, failure)
    }

    /// Copies the images side by side for the model, and takes the paths and failures, so that the slots can be filled
    /// again while the model runs. Copying takes less than a thousandth of the time of the model.
    ///
    /// - Returns: the number of images.
    private mutating func gather(_ slots: [PrefetchRing.Slot]) -> Int {
        var images = 0
        for (index, slot) in slots.enumerated() {
            if index == paths.count {
                paths.append([])
                failures.append(nil)
                identities.append(nil)
                reusedRows.append(nil)
            }
            swap(&paths[index], &slot.path)
            failures[index] = slot.failure
            identities[index] = slot.identity
            reusedRows[index] = slot.reusedRow
            guard slot.hasImage else { continue }
            _ = UnsafeMutableBufferPointer(rebasing: inputs[(images * valuesPerImage)...]).update(from: slot.values)
            images += 1
        }
        return images
    }
}
