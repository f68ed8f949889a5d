package import Datasets
package import Files
package import VisionTransformers

/// The labelled images that one task is evaluated on: each shows a class, any number of labels, or values.
///
/// Classes are matched by name. Images of a class that the head does not have are counted and left out; where images
/// show several labels, only the label is left out. A class of the head may have no images.
package struct EvaluationTask: Sendable, Equatable {
    /// One image.
    package struct Item: Sendable, Equatable {
        /// The image's file.
        package let path: BytePath
        /// The index of its class in the head, or of its labels or values in `truths`.
        package let truth: Int
    }

    /// What the images show.
    package enum Truths: Sendable, Equatable {
        /// One class each.
        case classes
        /// Any number of labels each: the distinct sets of labels, as ascending indices in the head.
        case labels([[Int]])
        /// A value per output: the values of each image.
        case values([[Double]])
    }

    /// A class that the head does not have.
    package struct UnknownClass: Sendable, Equatable {
        /// Its name in the data.
        package let name: String
        /// How many images it has.
        package let images: Int
    }

    /// The task's name.
    package let name: String
    /// The head's class names, in the order of its logits; the names of its outputs where images show values.
    package let classes: [String]
    /// What the images show.
    package let truths: Truths
    /// The folder or table that names the images.
    package let source: BytePath
    /// The images whose class the head has, in the order of the data.
    package let items: [Item]
    /// The classes of the data that the head does not have.
    package let unknown: [UnknownClass]

    /// Matches labelled images with a head's classes.
    ///
    /// - Throws: `FileError` when the head has none of the classes.
    package init(name: String, classes: [String], images: LabelledImages) throws(FileError) {
        let indexByClass = Dictionary(classes.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        let classMap = images.classes.map { indexByClass[$0] }
        var counts = Array(repeating: 0, count: images.classes.count)
        var items: [Item] = []
        for item in images.items {
            counts[item.class] += 1
            if let truth = classMap[item.class] { items.append(Item(path: item.path, truth: truth)) }
        }
        guard !items.isEmpty else {
            throw FileError(
                path: images.source,
                reason: "none of its classes (\(LabelledImages.some(images.classes))) is one of \(name)'s: "
                    + LabelledImages.some(classes))
        }
        self.name = name
        self.classes = classes
        truths = .classes
        source = images.source
        self.items = items
        unknown = images.classes.indices.filter { classMap[$0] == nil }.map {
            UnknownClass(name: images.classes[$0], images: counts[$0])
        }
    }

    /// Matches images of any number of labels with a head's classes.
    ///
    /// - Throws: `FileError` when the head has none of the labels.
    package init(name: String, classes: [String], images: MultiLabelImages) throws(FileError) {
        let counts = images.counts
        let unknown = images.classes.indices.filter { !classes.contains(images.classes[$0]) }
        guard unknown.count < images.classes.count else {
            throw FileError(
                path: images.source,
                reason: "none of its labels (\(LabelledImages.some(images.classes))) is one of \(name)'s: "
                    + LabelledImages.some(classes))
        }
        let matched = images.indexed(by: classes)
        self.name = name
        self.classes = classes
        truths = .labels(matched.sets)
        source = images.source
        items = matched.items.map { Item(path: $0.path, truth: $0.class) }
        self.unknown = unknown.map { UnknownClass(name: images.classes[$0], images: counts[$0]) }
    }

    /// Images with a value for each of a head's outputs.
    package init(name: String, images: ImageValues) {
        self.name = name
        classes = images.outputs
        truths = .values(images.values)
        source = images.source
        items = images.paths.enumerated().map { Item(path: $1, truth: $0) }
        unknown = []
    }

    /// The activation of a head for such images.
    package var activation: HeadActivation {
        switch truths {
        case .classes: .softmax
        case .labels: .sigmoid
        case .values: .identity
        }
    }

    /// The head's classes that no image shows.
    package var classesWithoutImages: [String] {
        var isShown = Array(repeating: false, count: classes.count)
        for item in items {
            switch truths {
            case .classes: isShown[item.truth] = true
            case .labels(let sets): for label in sets[item.truth] { isShown[label] = true }
            case .values: return []
            }
        }
        return classes.indices.filter { !isShown[$0] }.map { classes[$0] }
    }

    /// The number of images left out because the head does not have their class.
    package var unknownImages: Int { truths == .classes ? unknown.reduce(0) { $0 + $1.images } : 0 }

    /// The class, labels or values that an image shows, as text.
    package func shown(by item: Item) -> String {
        switch truths {
        case .classes: classes[item.truth]
        case .labels(let sets):
            sets[item.truth].map { classes[$0] }.joined(separator: MultiLabelImages.usualSeparator)
        case .values(let values):
            values[item.truth].map { "\($0)" }.joined(separator: MultiLabelImages.usualSeparator)
        }
    }
}
