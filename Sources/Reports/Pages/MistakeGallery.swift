import Files

/// Pictures that a model was most sure about and wrong.
struct MistakeGallery {
    /// One picture.
    struct Item {
        let path: BytePath
        /// What it shows.
        let truth: String
        /// What was said instead, a line each.
        let answers: [String]
    }

    let items: [Item]
    /// The folder that paths are shown from.
    let folder: BytePath
    let thumbnail: Thumbnail

    /// How many pictures a gallery has at most.
    static let limit = 12

    private func shown(_ path: BytePath) -> String {
        let prefix = folder.appending([]).bytes
        return BytePath(path.bytes.starts(with: prefix) ? Array(path.bytes.dropFirst(prefix.count)) : path.bytes)
            .description
    }

    /// The pictures with what they show and what was said.
    var html: HTML {
        .element("div", ["class": "mistakes"]) {
            for item in items {
                HTML.element("figure") {
                    if let address = thumbnail.address(of: item.path) {
                        HTML.void("img", ["src": address, "alt": item.truth, "loading": "lazy"])
                    } else {
                        HTML.element("div", ["class": "absent"]) { "not readable" }
                    }
                    HTML.element("figcaption") {
                        HTML.element("strong") { item.truth }
                        for answer in item.answers {
                            HTML.void("br")
                            answer
                        }
                        HTML.void("br")
                        HTML.element("code", ["title": item.path.description]) { shown(item.path) }
                    }
                }
            }
        }
    }
}
