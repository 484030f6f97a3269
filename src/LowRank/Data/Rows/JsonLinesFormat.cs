namespace LowRank.Data.Rows;

/// <summary>JSON Lines: one JSON object a line.</summary>
internal sealed class JsonLinesFormat : IRowFormat
{
    public IReadOnlyList<string> Extensions { get; } = [".jsonl", ".ndjson"];

    public IEnumerable<UnreadRow> Read(Stream content, string path, RowOptions options, DataProblems problems) =>
        JsonLines.Read(content).Select(line => Row(line, path));

    public static UnreadRow Row(JsonLine line, string path) => line.IsTooLong
        ? new WrongRow(new DataPlace(path, line.Number), JsonLines.TooLong)
        : new JsonRow(new DataPlace(path, line.Number), line.Utf8, "line");
}
