/// A model that computes the logits of all its tasks in one pass. It is called from one thread only.
package protocol MultitaskClassifying {
    /// The tasks, in the order of their logits.
    var tasks: [TaskLabels] { get }

    /// Computes the logits of a batch.
    ///
    /// - Parameters:
    ///   - inputs: the prepared images, one after the other.
    ///   - output: the logits, of shape (images, classes of all tasks), the tasks in their order.
    /// - Throws: any error; it ends the run.
    func logits(_ inputs: UnsafeBufferPointer<Float>, images: Int, into output: UnsafeMutableBufferPointer<Float>)
        throws
}

/// Takes batches from the ring, runs the model on them, and passes its predictions on.
struct BatchEngine: ~Copyable {
    private let ring: PrefetchRing
    private let workers: DecodeWorkers
    private let classifier: any MultitaskClassifying
    private let batchSize: Int
    private let valuesPerImage: Int
    /// The number of classes of all tasks.
    private let classes: Int
    private let inputs: UnsafeMutableBufferPointer<Float>
    private let logits: UnsafeMutableBufferPointer<Float>
    /// The paths of the batch; the storage is reused for every batch.
    private var paths: [[UInt8]] = []
    /// For each input of the batch, the reason why it has no image.
    private var failures: [InputFailure?] = []
    var progress: LabellingProgress

    init(
        ring: PrefetchRing, workers: DecodeWorkers, classifier: any MultitaskClassifying, batchSize: Int,
        valuesPerImage: Int, progress: LabellingProgress
    ) {
        self.ring = ring
        self.workers = workers
        self.progress = progress
        self.classifier = classifier
        self.batchSize = batchSize
        self.valuesPerImage = valuesPerImage
        classes = classifier.tasks.reduce(0) { $0 + $1.classes.count }
        inputs = .allocate(capacity: batchSize * valuesPerImage)
        inputs.initialize(repeating: 0)
        logits = .allocate(capacity: batchSize * classes)
        logits.initialize(repeating: 0)
    }

    deinit {
        inputs.deallocate()
        logits.deallocate()
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
            do {
                try classifier.logits(
                    UnsafeBufferPointer(rebasing: inputs[..<(images * valuesPerImage)]), images: images,
                    into: UnsafeMutableBufferPointer(rebasing: logits[..<(images * classes)]))
            } catch {
                throw LabellingError.model("\(error)")
            }
        }
        var image = 0
        for index in slots.indices {
            if let failure = failures[index] {
                sink.appendFailure(path: paths[index], reason: failure.reason)
                count(failure, paths[index])
                continue
            }
            let imageLogits = UnsafeBufferPointer(rebasing: logits[(image * classes)..<((image + 1) * classes)])
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
            }
            swap(&paths[index], &slot.path)
            failures[index] = slot.failure
            guard slot.failure == nil else { continue }
            _ = UnsafeMutableBufferPointer(rebasing: inputs[(images * valuesPerImage)...]).update(from: slot.values)
            images += 1
        }
        return images
    }
}
