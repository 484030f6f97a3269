using System.Text;
using System.Text.Json.Nodes;

namespace LowRank.Data.Rows;

/// <summary>Plain text in UTF-8.</summary>
internal sealed class TextFormat : IRowFormat
{
    private const int LongestDocument = JsonLines.LongestLine;
    private static readonly UTF8Encoding Strict =
        new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public IReadOnlyList<string> Extensions { get; } = [".txt"];

    public IEnumerable<UnreadRow> Read(Stream content, string path, RowOptions options, DataProblems problems) =>
        options.Text == PlainText.Document
        ? Document(content, path)
        : JsonLines.Read(content).Select(line => Line(line, new DataPlace(path, line.Number), options.Text));

    private static UnreadRow Line(JsonLine line, DataPlace place, PlainText text)
    {
        if (line.IsTooLong) return new WrongRow(place, JsonLines.TooLong);
        try
        {
            string words = Strict.GetString(line.Utf8.Span);
            return text == PlainText.Lines ? new ReadRow(place, new JsonObject { ["text"] = words })
                : Pair(words, place);
        }
        catch (DecoderFallbackException failure)
        {
            return new WrongRow(place, $"byte {failure.Index + 1} of the line is not valid UTF-8. Save the file as " +
                "UTF-8.");
        }
    }

    // A line break separates prompt and completion; it tells the model where to begin.
    private static UnreadRow Pair(string line, DataPlace place)
    {
        string[] sides = line.Split("||");
        if (sides.Length == 2 && sides.All(side => side.Trim().Length > 0))
            return new ReadRow(
                place, new JsonObject { ["prompt"] = sides[0].Trim() + "\n", ["completion"] = sides[1].Trim() });
        return new WrongRow(
            place, new Problem(
                $"the line contains \"||\" {sides.Length - 1} times; expected prompt||completion. Put JSON rows " +
                $"into a file that ends in .jsonl; for plain text choose lines, one document per line, or " +
                $"document, the whole file{KnownSettings.PlainText.Aside}."));
    }

    private static IEnumerable<UnreadRow> Document(Stream content, string path)
    {
        var whole = new DataPlace(path, 1);
        using var bytes = new MemoryStream();
        byte[] chunk = new byte[1 << 16];
        for (int read = content.Read(chunk); read > 0; read = content.Read(chunk))
        {
            bytes.Write(chunk, 0, read);
            if (bytes.Length <= LongestDocument) continue;
            yield return new WrongRow(
                whole, new Problem(
                    $"the document has more than {LongestDocument >> 20} MB. Split it, or read it " +
                    $"as lines{KnownSettings.PlainText.To("lines").Aside}."));
            yield break;
        }
        ReadOnlyMemory<byte> utf8 = bytes.GetBuffer().AsMemory(0, (int)bytes.Length);
        if (utf8.Span.StartsWith(Encoding.UTF8.Preamble)) utf8 = utf8[Encoding.UTF8.Preamble.Length..];
        if (utf8.IsEmpty) yield break;
        yield return Decoded(utf8, whole);
    }

    private static UnreadRow Decoded(ReadOnlyMemory<byte> utf8, DataPlace place)
    {
        try
        {
            // Line ends depend on the machine that wrote the file and are not part of its text.
            string words = Strict.GetString(utf8.Span).Replace("\r\n", "\n", StringComparison.Ordinal)
                .Replace('\r', '\n');
            return new ReadRow(place, new JsonObject { ["text"] = words });
        }
        catch (DecoderFallbackException failure)
        {
            return new WrongRow(place, $"byte {failure.Index + 1} of the file is not valid UTF-8. Save the file as " +
                "UTF-8.");
        }
    }
}
