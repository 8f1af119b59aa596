//! PDF: what is read, in files that are written here.

use std::io::Write as _;

use owl_extract::{Document, ExtractError, Mode, Options, Source, extract};

/// A file of these objects, numbered from one; the first is the catalogue. Without a table: it is not asked.
pub(crate) fn file(objects: &[Vec<u8>], trailer: &str) -> Vec<u8> {
    let mut out = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec();
    for (number, object) in (1..).zip(objects) {
        let _ = writeln!(out, "{number} 0 obj");
        out.extend_from_slice(object);
        out.extend_from_slice(b"\nendobj\n");
    }
    let _ = writeln!(out, "trailer\n<< /Root 1 0 R {trailer} >>\n%%EOF");
    out
}

pub(crate) fn stream(dict: &str, data: &[u8]) -> Vec<u8> {
    let head = format!("<< {dict} /Length {} >>\nstream\n", data.len());
    [head.as_bytes(), data, b"\nendstream"].concat()
}

pub(crate) fn deflated(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).expect("into memory");
    encoder.finish().expect("into memory")
}

/// A file with a page for each content, all with the same resources, of which font `F` is object 3.
fn pages(contents: &[&str], font: &str, trailer: &str, more: &[Vec<u8>]) -> Vec<u8> {
    let first = 4 + more.len();
    let kids: String = (0..contents.len()).map(|at| format!("{} 0 R ", first + at * 2)).collect();
    let mut objects = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        format!("<< /Type /Pages /Resources << /Font << /F 3 0 R >> >> /Kids [{kids}] >>").into_bytes(),
        font.as_bytes().to_vec(),
    ];
    objects.extend_from_slice(more);
    for (at, content) in contents.iter().enumerate() {
        objects.push(format!("<< /Type /Page /Parent 2 0 R /Contents {} 0 R >>", first + at * 2 + 1).into_bytes());
        objects.push(stream("/Filter /FlateDecode", &deflated(content.as_bytes())));
    }
    file(&objects, trailer)
}

const HELVETICA: &str = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>";

fn read(bytes: &[u8], mode: Mode) -> Result<Document, ExtractError> {
    let source = Source { bytes, content_type: Some("application/pdf"), url: "https://example.com/a.pdf" };
    extract(source, &Options { mode, ..Options::default() })
}

fn text(bytes: &[u8]) -> String {
    read(bytes, Mode::Markdown).expect("a text").text
}

const FIRST: &str = "BT /F 24 Tf 72 720 Td (The night of owls) Tj /F 11 Tf 0 -40 Td \
    (Owls see in the dark and hear the smallest of mice. They fly without a sound, and so they are sel-) Tj 0 -13 Td \
    (dom seen by those who walk the woods by day, however carefully they may look for them there.) Tj 0 -30 Td \
    (A second paragraph, which [is] \\(quite\\) short.) Tj 0 -30 Td (1. one) Tj 0 -13 Td (2. two) Tj ET";

const SECOND: &str = "BT /F 11 Tf 1 0 0 1 72 700 Tm [(W) 80 (ords ar) -20 (e) -300 (k) 30 (erned)] TJ 200 0 Td (column) Tj \
    -200 -20 Td (caf\\351 \\223quoted\\224 \\205) Tj ET q 0.5 0 0 0.5 0 0 cm BT /F 22 Tf 144 1200 Td (scaled) Tj ET Q";

#[test]
fn pages_paragraphs_headings_and_divided_words() {
    let info = "/Info << /Title <feff004e0069006700680074> >>";
    let bytes = pages(&[FIRST, "", SECOND], HELVETICA, info, &[]);
    let document = read(&bytes, Mode::Markdown).expect("a text");
    assert_eq!((document.title.as_deref(), document.media_type.as_str()), (Some("Night"), "application/pdf"));
    insta::assert_snapshot!("pdf", document.text);
    let plain = read(&bytes, Mode::Text).expect("a text");
    insta::assert_snapshot!("pdf_text", plain.text);
}

#[test]
fn fonts_say_what_their_codes_mean() {
    let content = "BT /F 10 Tf 10 100 Td <01020003> Tj ET";
    let check =
        |font: &str, more: Vec<u8>, expected: &str| assert_eq!(text(&pages(&[content], font, "", &[more])), expected);
    let map = "1 begincodespacerange <0000> <ffff> endcodespacerange 1 beginbfchar <0102> <00660069> endbfchar \
               1 beginbfrange <0000> <0010> <0041> endbfrange";
    check("<< /Subtype /Type0 /Encoding /Identity-H /ToUnicode 4 0 R >>", stream("", map.as_bytes()), "fiD");
    let map = "1 beginbfrange <00> <03> [<0058> <0059> <005a> <d83ddc26>] endbfrange";
    check("<< /Subtype /TrueType /ToUnicode 4 0 R >>", stream("", map.as_bytes()), "YZX🐦");
    check("<< /Subtype /Type0 /Encoding /UniJIS-UTF16-H >>", b"null".to_vec(), "Ă");
    let differences = "<< /Differences [1 /Euro /f_f 0 /uni20AC 3 /alpha.alt] >>";
    check(&format!("<< /Subtype /Type1 /Encoding {differences} >>"), b"null".to_vec(), "€ff€α");
    check("<< /Subtype /Type1 /Encoding 4 0 R >>", differences.as_bytes().to_vec(), "€ff€α");
}

#[test]
fn objects_may_be_packed_and_changed_and_forms_are_read() {
    let packed = b"1 0 2 34 <</Type/Catalog/Pages 2 0 R     >> <</Type/Pages/Kids[4 0 R]>>";
    let first = "/Type /ObjStm /N 2 /First 9 /Filter /FlateDecode";
    let form = stream(
        "/Subtype /Form /Resources << /Font << /F 3 0 R >> >> /Matrix [1 0 0 1 5 5]",
        b"BT /F 9 Tf (in a form) Tj ET",
    );
    let old = stream("", b"BT (old) Tj ET");
    let resources = "<< /Type /Page /Contents [5 0 R 7 0 R] /Resources << /XObject << /X 6 0 R >> >> >>";
    let objects = [
        b"null".to_vec(),
        b"null".to_vec(),
        HELVETICA.into(),
        resources.into(),
        old,
        form,
        stream("/Filter [/ASCIIHexDecode]", b"2f58 20 446f>"),
        stream(first, &deflated(packed)),
    ];
    let mut bytes = file(&objects, "");
    bytes.extend_from_slice(b"5 0 obj\n<< /Length 3 >> stream\nq Q\nendstream endobj");
    assert_eq!(text(&bytes), "in a form");
}

#[test]
fn what_cannot_be_read_is_said() {
    let check = |bytes: &[u8], expected: &str| {
        let error = read(bytes, Mode::Markdown).expect_err("no text");
        assert_eq!(error.code(), "doc_damaged");
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(&pages(&[FIRST], HELVETICA, "/Encrypt << /Filter /Standard >>", &[]), "encrypted");
    check(&pages(&["q 100 0 0 100 0 0 cm /Im Do Q"], HELVETICA, "", &[]), "scanner");
    check(b"%PDF-1.4\n", "no page");
    let whole = pages(&[FIRST], HELVETICA, "", &[]);
    // Without its end a file is still read.
    assert!(read(&whole[..whole.len() - 60], Mode::Markdown).is_ok());
}

#[test]
fn loops_end() {
    let myself = stream("/Subtype /Form /Resources << /XObject << /X 4 0 R >> >>", "/X Do ".repeat(50).as_bytes());
    let objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [2 0 R 3 0 R 3 0 R] >>".to_vec(),
        b"<< /Type /Page /Contents 4 0 R /Resources << /XObject << /X 4 0 R >> >> >>".to_vec(),
        myself,
    ];
    assert_eq!(read(&file(&objects, ""), Mode::Markdown).expect_err("no end").code(), "doc_too_large");
    // Each stream is within its limit; all together are not.
    let packed = stream("/Filter /FlateDecode", &deflated(&vec![b' '; 12 << 20]));
    let contents: String = (0..9).map(|_| "4 0 R ").collect();
    let objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] >>".to_vec(),
        format!("<< /Type /Page /Contents [{contents}] >>").into_bytes(),
        packed,
    ];
    assert_eq!(read(&file(&objects, ""), Mode::Markdown).expect_err("too much").code(), "doc_too_large");
    let chain = [b"2 0 R".to_vec(), b"1 0 R".to_vec()];
    assert_eq!(read(&file(&chain, ""), Mode::Markdown).expect_err("no page").code(), "doc_damaged");
}
