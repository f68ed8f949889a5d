/// The images that one task is evaluated on, with their classes by their places in the head.
///
/// Classes are matched by name. A class of the data that the head does not have cannot be answered: its images are counted
/// and left out. A class of the head without images is allowed.
public struct EvaluationTask: Sendable, Equatable {
    /// One image.
    public struct Item: Sendable, Equatable {
        /// The image's file.
        public let path: BytePath
        /// The place of its class in the head.
        public let truth: Int
    }

    /// A class that the head does not have.
    public struct UnknownClass: Sendable, Equatable {
        /// Its name in the data.
        public let name: String
        /// How many images it has.
        public let images: Int
    }

    /// The task's name.
    public let name: String
    /// The head's class names, in the order of its logits.
    public let classes: [String]
    /// The folder or table that names the images.
    public let source: BytePath
    /// The images whose class the head has, in the order of the data.
    public let items: [Item]
    /// The classes of the data that the head does not have.
    public let unknown: [UnknownClass]

    /// Matches labelled images with a head's classes.
    ///
    /// - Throws: `LabellingError.labelledImages` when not one class is the head's.
    public init(name: String, classes: [String], images: LabelledImages) throws(LabellingError) {
        let places = Dictionary(classes.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        let truths = images.classes.map { places[$0] }
        var counts = Array(repeating: 0, count: images.classes.count)
        var items: [Item] = []
        for item in images.items {
            counts[item.class] += 1
            if let truth = truths[item.class] { items.append(Item(path: item.path, truth: truth)) }
        }
        guard !items.isEmpty else {
            throw .labelledImages(
                path: images.source,
                reason: "none of its classes (\(LabelledImages.some(images.classes))) is one of \(name)'s: "
                    + LabelledImages.some(classes))
        }
        self.name = name
        self.classes = classes
        source = images.source
        self.items = items
        unknown = images.classes.indices.filter { truths[$0] == nil }.map {
            UnknownClass(name: images.classes[$0], images: counts[$0])
        }
    }

    /// The head's classes that no image shows.
    public var classesWithoutImages: [String] {
        var isShown = Array(repeating: false, count: classes.count)
        for item in items { isShown[item.truth] = true }
        return classes.indices.filter { !isShown[$0] }.map { classes[$0] }
    }

    /// How many images of unknown classes there are.
    public var unknownImages: Int { unknown.reduce(0) { $0 + $1.images } }
}

/// What came of the images of a task.
public struct TaskAnswers: Sendable, Equatable {
    /// An image without an answer.
    public struct Failure: Sendable, Equatable {
        /// The image's file.
        public let path: BytePath
        /// Why it has none.
        public let reason: String
    }

    /// The answers in the order of the task's items; nil for an image that has none.
    public internal(set) var answers: [ScoredAnswer?]
    /// The images without an answer, in the same order.
    public internal(set) var failures: [Failure] = []
    /// How many of the best answers are known for each image.
    public internal(set) var ranksKnown = Int.max
    /// What cannot be computed from these answers, and why, in sentences.
    public internal(set) var missing: [String] = []

    /// No answers yet, for so many images.
    init(count: Int) { answers = Array(repeating: nil, count: count) }

    /// The answers that there are.
    public var known: [ScoredAnswer] { answers.compactMap(\.self) }

    /// The same answers with classes in another order.
    ///
    /// - Returns: nil unless both orders hold the same classes.
    public func reindexed(from classes: [String], to others: [String]) -> TaskAnswers? {
        guard classes != others else { return self }
        let places = Dictionary(others.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        let moved = classes.compactMap { places[$0] }
        guard moved.count == classes.count, Set(moved).count == others.count else { return nil }
        var result = self
        result.answers = answers.map { answer in
            answer.map {
                ScoredAnswer(
                    truth: moved[$0.truth], predicted: moved[$0.predicted], rank: $0.rank, confidence: $0.confidence,
                    logLoss: $0.logLoss)
            }
        }
        return result
    }
}
