using LowRank.Data;

namespace LowRank.Corpus;

/// <summary>Writes meanings as dictionary entries: a record of fields, then sentences that state them.</summary>
/// <remarks>The record before the sentences teaches the model to copy: everything the sentences say is above
/// them.</remarks>
/// <param name="random">Chooses among wordings.</param>
public sealed class EntryWriter(StableRandom random)
{
    /// <summary>One entry: usually a record line and a line of sentences; sometimes the sentences alone.</summary>
    public string Write(Synset synset)
    {
        string word = synset.Words[0];
        string? other = synset.Words.Count > 1 && synset.Words[1] != word ? synset.Words[1] : null;
        var optional = new List<(string Key, string Value)>();
        if (synset.Parent is { } parent) optional.Add(("kind of", parent));
        if (other is not null) optional.Add(("also", other));
        if (synset.Whole is { } whole) optional.Add(("part of", whole));
        if (synset.Opposite is { } opposite) optional.Add(("opposite", opposite));
        Shuffle(optional);
        var fields = new List<(string Key, string Value)> { ("word", word), ("class", synset.Class) };
        fields.AddRange(optional);
        string record = string.Join(" | ", fields.Select(field => $"{field.Key}: {field.Value}"));

        List<string> sentences =
            [Opening(synset, word), .. optional.Select(field => Statement(synset, word, field.Key, field.Value))
            .OfType<string>()];
        foreach (string example in synset.Examples.Take(2)) sentences.Add(Example(example));
        string text = string.Join(' ', sentences);
        return random.Below(5) == 0 ? text : record + "\n" + text;
    }

    private string Opening(Synset synset, string word)
    {
        string definition = synset.Definition;
        string article = Article(word), parent = synset.Parent ?? "";
        return synset.Class switch
        {
            "noun" when parent.Length > 0 => Pick(
                $"{Capital(article)} {word} is a kind of {parent}: {definition}.",
                $"The noun {word} means {definition}.",
                $"{Capital(word)} is a word for a kind of {parent}. It means {definition}.",
                $"{Capital(article)} {word} is {Article(parent)} {parent}, that is, {definition}."),
            "noun" => Pick($"The noun {word} means {definition}.", $"{Capital(word)} means {definition}."),
            "verb" => Pick(
                $"To {word} is to {definition}.", $"The verb {word} means to {definition}.",
                $"When people {word}, they {definition}."),
            "adjective" =>
                Pick($"The adjective {word} means {definition}.", $"What is {word} is {definition}.",
                $"{Capital(word)} means {definition}."),
            _ => Pick($"The adverb {word} means {definition}.", $"{Capital(word)} means {definition}."),
        };
    }

    private string? Statement(Synset synset, string word, string key, string value) => key switch
    {
        "kind of" when synset.Class == "noun" => random.Below(3) == 0 ? $"Every {word} is a kind of {value}." : null,
        "kind of" => random.Below(2) == 0 ? $"To {word} is one way to {value}." : null,
        "also" => Pick(
            $"It is also called {value}.", $"Another word for {word} is {value}.", $"People also say {value}."),
        "part of" => Pick(
            $"It is part of {Article(value)} {value}.",
            $"{Capital(Article(word))} {word} belongs to {Article(value)} {value}."),
        _ => Pick($"The opposite of {word} is {value}.", $"Its opposite is {value}."),
    };

    private string Example(string example)
    {
        string sentence = Capital(example).TrimEnd('.', ';', ',', ' ');
        string end = sentence[^1] is '!' or '?' ? "" : ".";
        return Pick($"For example: {sentence}{end}", $"{sentence}{end}", $"One can say: {sentence}{end}");
    }

    private string Pick(params string[] wordings) => wordings[random.Below(wordings.Length)];

    private void Shuffle(List<(string, string)> fields)
    {
        int[] order = random.Permutation(fields.Count);
        var copy = fields.ToList();
        for (int i = 0; i < order.Length; i++) fields[i] = copy[order[i]];
    }

    private static string Article(string word) => "aeiou".Contains(word[0], StringComparison.Ordinal) ? "an" : "a";

    private static string Capital(string text) => char.ToUpperInvariant(text[0]) + text[1..];
}
