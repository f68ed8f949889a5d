import Training

/// Counts image passes, and estimates how many are left.
struct PassEstimate {
    /// Finished passes.
    private(set) var done = 0.0
    /// The expected passes of the pieces of work that have not started.
    private var open: Double
    /// The expected and the finished passes of the current piece.
    private var piece = (expected: 0.0, made: 0.0)

    init(left: Double) { open = left }

    /// An estimate of the remaining passes.
    var left: Double { max(0, open) + max(0, piece.expected - piece.made) }

    /// Starts a piece of work with its expected number of passes.
    mutating func begin(_ expected: Double) {
        open -= expected
        piece = (expected, 0)
    }

    /// Counts passes of the current piece.
    mutating func pass(_ images: Int) {
        done += Double(images)
        piece.made += Double(images)
    }

    /// Ends the current piece.
    mutating func end() { piece = (0, 0) }
}

extension StudyJob {
    /// An estimate of the image passes that a study still needs.
    func cost(_ material: StudyInputs, _ store: StudyStore) -> Double {
        let counts = material.tasks.map { Double($0.pictures.pictures.count) }
        let base = needsBase(store) ? counts.reduce(0, +) : 0
        let alone = zip(plan.tasks, counts).reduce(base) { sum, task in
            sum + (store.result(Self.single, [task.0]) == nil ? task.1 : 0)
        }
        return plan.merges.compactMap { missing($0, in: store) }.reduce(alone) { $0 + cost($1, material) }
    }

    /// An estimate of the image passes of a merge.
    func cost(_ merge: StudyPlan.Merge, _ material: StudyInputs) -> Double {
        let (tuned, aligned) = (merge.variants.filter(\.tunes), merge.variants.filter(\.aligns))
        let scales = tuned.isEmpty ? 0 : 3 + Double(tuned.count)
        let fitted = tuned.contains(where: \.aligns) ? tuningImages : 0
        return merge.tasks.reduce(0) { sum, place in
            let task = material.tasks[place]
            let known = min(calibrationImages, task.images.training?.training.count ?? 0)
            let tuning = scales * Double(min(tuningImages, known / 5) + min(fitted, known))
            let measured = Double(merge.variants.count * task.pictures.pictures.count)
            // The merge and the task's adapter alone.
            let fitting = Double(2 * merge.variants.count(where: \.streams) * known)
            return sum + tuning + measured + fitting + Double(aligned.count * known)
        }
    }
}
