using System.Text.Json;

namespace LowRank.Data.Rows;

/// <summary>JSON: a list of objects, or an object that holds one (<c>{"data": [{…}, …]}</c>); also one object a line, which
/// many files of that name hold.</summary>
internal sealed class JsonFormat : IRowFormat
{
    private const int Peeked = 1 << 20;
    private const string Expected = "Expected a list of objects, [{…}, …], or an object that holds one, {\"data\": [{…}, …]}.";

    public IReadOnlyList<string> Extensions { get; } = [".json"];

    public IEnumerable<UnreadRow> Read(Stream content, string path, RowOptions options, DataProblems problems)
    {
        var peeked = new PeekedStream(content, Peeked);
        if (HoldsLines(peeked.Beginning)) return JsonLines.Read(peeked).Select(line => JsonLinesFormat.Row(line, path));
        IEnumerable<UnreadRow> elements = Elements(peeked, path, problems);
        if (!SquadRows.IsArticle(peeked.Beginning)) return elements;
        problems.Remark($"{path}: questions of SQuAD's own file are read as rows.");
        return SquadRows.Of(elements, path, problems);
    }

    // The first line is an object of its own and another one follows.
    private static bool HoldsLines(ReadOnlySpan<byte> beginning)
    {
        if (beginning.StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF])) beginning = beginning[3..];
        beginning = beginning.TrimStart(" \t\r\n"u8);
        int end = beginning.IndexOf((byte)'\n');
        if (end < 0 || beginning[0] != '{') return false;
        return beginning[end..].TrimStart(" \t\r\n"u8).StartsWith("{"u8) && IsOneLine(beginning);
    }

    /// <summary>Whether the first line is a value of its own.</summary>
    public static bool IsOneLine(ReadOnlySpan<byte> beginning)
    {
        int end = beginning.IndexOf((byte)'\n');
        var reader = new Utf8JsonReader(end < 0 ? beginning : beginning[..end]);
        try
        {
            return reader.Read() && reader.TrySkip();
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static IEnumerable<UnreadRow> Elements(Stream content, string path, DataProblems problems)
    {
        var list = new JsonList(content);
        bool any = false;
        while (true)
        {
            UnreadRow? row;
            try
            {
                row = list.Next(path);
            }
            catch (JsonException failure)
            {
                string reason = failure.Message.Split([" Path: ", " LineNumber: "], StringSplitOptions.None)[0].TrimEnd('.');
                problems.Add(new DataPlace(path, 0), $"no valid JSON at or after line {list.Line} ({reason}). {Expected}");
                yield break;
            }
            if (row is null) break;
            any = true;
            yield return row;
            if (row is WrongRow && list.IsBroken) yield break;
        }
        if (list.Problem is { } problem) problems.Add(new DataPlace(path, 0), $"{problem} {Expected}");
        else if (!any && list.HasList) problems.Add(new DataPlace(path, 0), $"the list is empty. {Expected}");
    }
}
