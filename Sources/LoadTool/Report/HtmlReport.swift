// The report as one page. SPDX-License-Identifier: Apache-2.0

package struct HtmlReport {
    private let report: LoadReport
    package init(_ report: LoadReport) { self.report = report }
    package var text: String { "" }
}
