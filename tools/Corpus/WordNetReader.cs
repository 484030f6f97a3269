using System.Globalization;
using System.Text.RegularExpressions;

namespace LowRank.Corpus;

/// <summary>Reads WordNet's data files (format: wndb(5WN)).</summary>
public static partial class WordNetReader
{
    private static readonly (string File, string Class)[] Files =
        [("data.noun", "noun"), ("data.verb", "verb"), ("data.adj", "adjective"), ("data.adv", "adverb")];

    /// <summary>All meanings of the four classes whose words, definition and relations are plain lower-case
    /// English.</summary>
    public static IEnumerable<Synset> Read(string folder)
    {
        foreach ((string file, string wordClass) in Files)
        {
            Dictionary<string, Record> records = File.ReadLines(Path.Combine(folder, file))
                .Where(line => line.Length > 0 && char.IsAsciiDigit(line[0])).Select(Parse)
                .ToDictionary(record => record.Offset);
            foreach (Record record in records.Values)
            {
                Synset synset = Resolve(record, wordClass, records);
                if (IsPlain(synset)) yield return synset;
            }
        }
    }

    private static Record Parse(string line)
    {
        // offset lex_filenum ss_type w_cnt(hex) (word lex_id)* p_cnt (symbol offset pos source/target)* … | gloss
        int bar = line.IndexOf('|', StringComparison.Ordinal);
        string[] fields = line[..bar].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        int words = int.Parse(fields[3], NumberStyles.HexNumber), at = 4;
        List<string> names = [.. Enumerable.Range(0, words).Select(i => Clean(fields[at + 2 * i]))];
        at += 2 * words;
        int pointers = int.Parse(fields[at++]);
        List<(string Symbol, string Offset, string Class)> links =
            [.. Enumerable.Range(0, pointers)
                .Select(i => (fields[at + 4 * i], fields[at + 4 * i + 1], fields[at + 4 * i + 2]))];
        return new Record(fields[0], fields[2], names, links, line[(bar + 1)..].Trim());
    }

    private static Synset Resolve(Record record, string wordClass, Dictionary<string, Record> records)
    {
        string? Linked(params string[] symbols) => record.Links
            .Where(link => symbols.Contains(link.Symbol) && records.ContainsKey(link.Offset)
            && SameClass(link.Class, record.Class))
            .Select(link => records[link.Offset].Words[0]).FirstOrDefault();
        MatchCollection quoted = Quoted().Matches(record.Gloss);
        int firstQuote = quoted.Count > 0 ? quoted[0].Index : record.Gloss.Length;
        string definition = record.Gloss[..firstQuote].Trim().TrimEnd(';', ':', ' ');
        return new Synset(
            wordClass, record.Words, definition, [.. quoted.Select(match => match.Groups[1].Value.Trim())],
            Linked("@"), Linked("#p", "#m"), Linked("!"));
    }

    private static bool SameClass(string link, string own) => link == own || (link is "a" or "s" && own is "a" or "s");

    private static bool IsPlain(Synset synset) =>
        synset.Words.Take(3)
            .All(word => word.Length is > 1 and < 30 && word.All(c => char.IsAsciiLetterLower(c) || c is ' ' or '-'))
        && synset.Definition.Length is > 10 and < 180
        && synset.Definition.All(c => c is >= ' ' and <= '~' and not ('|' or '`' or '"'))
        && !synset.Definition.StartsWith("genus", StringComparison.Ordinal)
        && new[] { synset.Parent, synset.Whole, synset.Opposite }.OfType<string>()
        .All(word => word.All(c => char.IsAsciiLetterLower(c) || c is ' ' or '-'));

    // Adjectives carry their position as (p), (a) or (ip).
    private static string Clean(string word)
    {
        int marker = word.IndexOf('(', StringComparison.Ordinal);
        return (marker > 0 ? word[..marker] : word).Replace('_', ' ');
    }

    [GeneratedRegex("\"([^\"]{8,160})\"")]
    private static partial Regex Quoted();

    private sealed record Record(
        string Offset, string Class, List<string> Words, List<(string Symbol, string Offset, string Class)> Links,
        string Gloss);
}
