package import Datasets
import Files

/// Takes the predictions of a run, in the order of the inputs, on the thread that runs the model.
package protocol PredictionSink {
    /// Takes the reason why an input has no prediction.
    func appendFailure(path: [UInt8], reason: String)

    /// Takes the logits of an image for all the model's tasks, one task after the other.
    ///
    /// - Returns: how the run counts the image.
    func append(path: [UInt8], logits: UnsafeBufferPointer<Float>) -> PredictionOutcome

    /// Called before the first prediction and after each batch.
    ///
    /// - Throws: any error of the output; it ends the run.
    func flush(_ progress: LabellingProgress) throws
}

/// Runs a model over inputs, from the list of their paths to their rows.
///
///     InputLister      the path of each input, in order
///     DecodeWorkers    threads that read, decode and prepare the files      (options.threads of them)
///     PrefetchRing     the prepared images, in the order of the inputs
///     BatchEngine      the model, on the calling thread                     (options.batchSize images at once)
///     PredictionSink   rows, or the predictions of an evaluation
///
/// Memory depends on the batch size and the number of threads, not on the number of inputs.
package struct LabellingPipeline {
    private let preparer: any ImagePreparing
    private let classifier: any MultitaskClassifying
    private let options: LabellingOptions

    /// A pipeline.
    ///
    /// - Parameters:
    ///   - preparer: decodes the files and prepares the images.
    ///   - classifier: the model.
    package init(preparer: any ImagePreparing, classifier: any MultitaskClassifying, options: LabellingOptions) {
        (self.preparer, self.classifier, self.options) = (preparer, classifier, options)
    }

    /// Labels all inputs of a source and writes their rows in the order of the inputs.
    ///
    /// If the output holds the rows of an earlier run, their inputs are listed again, compared, and not labelled again.
    /// The caller commits or discards `output`.
    ///
    /// - Parameters:
    ///   - rows: the format of the rows; its tasks must be the classifier's.
    ///   - progress: called after every batch.
    ///   - isStopped: polled; once it returns true, the run ends after the current batch.
    /// - Returns: the number of rows of each kind.
    /// - Throws: `LabellingError` when the model or the list of inputs fails, or the inputs are no longer those of the
    ///   earlier run; `OutputError`. A file that cannot be labelled gets its row instead.
    package func run(
        _ source: InputSource, rows: RowWriter, output: some RowOutput,
        progress: (LabellingProgress) -> Void = { _ in }, isStopped: () -> Bool = { false }
    ) throws -> LabellingProgress {
        let lister = try InputLister(source)
        let sink = RowSink(rows: rows, output: output)
        guard let start = output.start else {
            rows.appendHeader()
            return try run(lister, sink: sink, progress: progress, isStopped: isStopped)
        }
        var resumption = LabellingProgress(start)
        guard let paths = try lister.skip(start.inputs, isStopped: isStopped) else {
            resumption.isStopped = isStopped()
            guard !resumption.isStopped else { return resumption }
            throw output.refusal("it holds the rows of \(start.inputs) inputs, but now there are fewer")
        }
        guard paths.text == start.paths else {
            throw output.refusal("the first \(start.inputs) inputs are no longer those whose rows it holds")
        }
        sink.paths = paths
        return try run(lister, sink: sink, after: resumption, progress: progress, isStopped: isStopped)
    }

    /// Gives all remaining inputs of a lister to the model, and its predictions to a sink.
    ///
    /// - Parameter start: the progress of the earlier run that this one resumes.
    /// - Returns: the progress at the end.
    /// - Throws: `LabellingError` when the model or the list of inputs fails, and any error of the sink.
    package func run(
        _ lister: InputLister, sink: some PredictionSink, after start: LabellingProgress = LabellingProgress(),
        progress: (LabellingProgress) -> Void = { _ in }, isStopped: () -> Bool = { false }
    ) throws -> LabellingProgress {
        let ring = PrefetchRing(
            slots: 2 * options.batchSize + options.threads, valuesPerImage: preparer.valuesPerImage,
            timeout: options.timeout)
        let workers = try DecodeWorkers(
            count: options.threads, lister: lister, ring: ring, preparer: preparer,
            maximumFileBytes: options.maximumFileBytes)
        var engine = BatchEngine(
            ring: ring, workers: workers, classifier: classifier, batchSize: options.batchSize,
            valuesPerImage: preparer.valuesPerImage, progress: start)
        do {
            try sink.flush(engine.progress)
            while try engine.step(sink, isStopped) {
                try sink.flush(engine.progress)
                progress(engine.progress)
            }
        } catch {
            ring.stop()
            workers.join()
            throw error
        }
        if engine.progress.isStopped { ring.stop() } else { engine.progress.total = engine.progress.done }
        workers.join()
        engine.progress.loops = lister.loops
        return engine.progress
    }
}

/// Writes predictions as rows.
private final class RowSink<Output: RowOutput>: PredictionSink {
    private let rows: RowWriter
    private let output: Output
    /// The digest of the paths of all inputs that have their row.
    var paths = InputDigest()

    init(rows: RowWriter, output: Output) {
        self.rows = rows
        self.output = output
    }

    func appendFailure(path: [UInt8], reason: String) {
        paths.add(path)
        rows.appendFailure(path: path, reason: reason)
    }

    func append(path: [UInt8], logits: UnsafeBufferPointer<Float>) -> PredictionOutcome {
        paths.add(path)
        return rows.append(path: path, logits: logits)
    }

    func flush(_ progress: LabellingProgress) throws {
        try rows.flush(to: output)
        try output.note(
            RunPoint(
                inputs: progress.done, failed: progress.failed, failures: progress.failures,
                belowThreshold: progress.belowThreshold, paths: paths))
    }
}
