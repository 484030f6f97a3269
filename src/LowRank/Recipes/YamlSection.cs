using System.Globalization;

namespace LowRank.Recipes;

/// <summary>One section of a recipe: typed access by key, with every problem noted together with its place.</summary>
/// <remarks>A key that is null counts as absent: it takes its default.</remarks>
internal sealed class YamlSection(YamlValue node, string path, RecipeProblems problems, SchemaRecorder? recorder = null)
{
    public bool Has(string key) => Find(key) is not null;

    public YamlSection? Child(string key)
    {
        YamlValue? child = Find(key);
        if (child is null) return null;
        if (child.Kind == YamlKind.Map) return new YamlSection(child, Full(key), problems, recorder);
        Wrong(child, key, "a section of keys");
        return null;
    }

    public void Require(string key, string expected)
    {
        if (!Has(key)) problems.Add(node.Place, $"{Full(key)} is missing, expected {expected}");
    }

    public string? Text(string key)
    {
        recorder?.Note(path, key, new KeySchema { Type = "string" });
        YamlValue? child = Find(key);
        if (child is null or { Kind: YamlKind.Scalar, Text.Length: > 0 }) return child?.Text;
        Wrong(child, key, "a text");
        return null;
    }

    public string OneOf(string key, string otherwise, params string[] allowed)
    {
        recorder?.Note(path, key, new KeySchema { Type = "string", Choices = allowed });
        string? value = Text(key);
        if (value is null || allowed.Contains(value)) return value ?? otherwise;
        Wrong(Find(key)!, key, $"one of {string.Join(", ", allowed)}");
        return otherwise;
    }

    public bool Flag(string key, bool otherwise)
    {
        recorder?.Note(path, key, new KeySchema { Type = "boolean" });
        YamlValue? child = Find(key);
        if (child is null) return otherwise;
        if (child is { Kind: YamlKind.Scalar, IsPlain: true, Text: "true" or "True" or "TRUE" }) return true;
        if (child is not { Kind: YamlKind.Scalar, IsPlain: true, Text: "false" or "False" or "FALSE" })
            Wrong(child, key, "true or false");
        return false;
    }

    /// <summary>A number within bounds.</summary>
    /// <param name="key">The key.</param>
    /// <param name="otherwise">The value when it is absent or wrong.</param>
    /// <param name="least">The smallest value.</param>
    /// <param name="below">What it must stay below.</param>
    /// <param name="above">Whether it must be above <paramref name="least"/>, not equal to it.</param>
    public double Number(
        string key, double otherwise, double least = 0, double below = double.PositiveInfinity, bool above = false)
    {
        recorder?.Note(
            path, key, new KeySchema { Type = "number", Least = least, IsAbove = above,
            Most = double.IsPositiveInfinity(below) ? null : below, IsBelow = true });
        YamlValue? child = Find(key);
        if (child is null) return otherwise;
        if (TryNumber(child, out double value) && (above ? value > least : value >= least) && value < below)
            return value;
        string bounds = (above ? $"above {least}" : $"of at least {least}")
            + (double.IsPositiveInfinity(below) ? "" : $" and below {below}");
        Wrong(child, key, $"a number {bounds}");
        return otherwise;
    }

    /// <summary>A whole number, or one of some words; the first word where the key is absent or wrong.</summary>
    /// <returns>The number; or null and the word.</returns>
    public (long? Number, string Word) WholeOrWord(string key, long least, params string[] words)
    {
        recorder?.Note(
            path, key, new KeySchema { Type = "integer", OtherType = "string", Least = least, OtherChoices = words });
        YamlValue? child = Find(key);
        if (child is null) return (null, words[0]);
        if (child.Kind == YamlKind.Scalar && words.Contains(child.Text)) return (null, child.Text);
        if (TryWhole(child, out long value) && value >= least) return (value, "");
        Wrong(child, key, $"{string.Join(", ", words)} or a whole number of at least {least}");
        return (null, words[0]);
    }

    /// <summary>A whole number within bounds, both included; null when it is absent or wrong.</summary>
    public long? Whole(string key, long least, long most = long.MaxValue)
    {
        recorder?.Note(
            path, key, new KeySchema { Type = "integer", Least = least, Most = most is long.MaxValue or int.MaxValue
            ? null : most });
        YamlValue? child = Find(key);
        if (child is null) return null;
        if (TryWhole(child, out long value) && value >= least && value <= most) return value;
        Wrong(child, key, most is long.MaxValue or int.MaxValue ? $"a whole number of at least {least}"
            : $"a whole number from {least} to {most}");
        return null;
    }

    public int Count(string key, int least, int otherwise) => (int)(Whole(key, least, int.MaxValue) ?? otherwise);

    /// <summary>A time above zero, as seconds or with units; null when it is absent or wrong.</summary>
    public TimeSpan? Time(string key)
    {
        recorder?.Note(path, key, new KeySchema { Type = "number", OtherType = "string", Least = 0, IsAbove = true });
        YamlValue? child = Find(key);
        if (child is null) return null;
        if (child.Kind == YamlKind.Scalar && DurationText.TryParse(child.Text, out TimeSpan time)) return time;
        Wrong(child, key, "a time such as 90s, 30m, 2h, 1h30m, or a number of seconds");
        return null;
    }

    /// <summary>A text or a list of texts, with their places; null when it is absent or wrong.</summary>
    public IReadOnlyList<YamlValue>? Texts(string key)
    {
        recorder?.Note(path, key, new KeySchema { Type = "string", MayBeList = true });
        YamlValue? child = Find(key);
        if (child is null) return null;
        IReadOnlyList<YamlValue> items = child.Kind == YamlKind.List ? child.Items : [child];
        if (items.Count > 0 && items.All(item => item is { Kind: YamlKind.Scalar, Text.Length: > 0, IsNull: false }))
            return items;
        Wrong(items.FirstOrDefault(item => item.Kind != YamlKind.Scalar || item.Text.Length == 0 || item.IsNull)
            ?? child, key, "a text or a list of texts");
        return null;
    }

    public bool IsList(string key) => Find(key)?.Kind == YamlKind.List;

    public IReadOnlyList<int>? Wholes(string key)
    {
        recorder?.Note(path, key, new KeySchema { Type = "integer", Least = 0, MayBeList = true });
        YamlValue? child = Find(key);
        if (child is null) return null;
        IReadOnlyList<YamlValue> items = child.Kind == YamlKind.List ? child.Items : [child];
        var values = new List<int>();
        if (items.Count == 0) Wrong(child, key, "a whole number or a list of them");
        foreach (YamlValue item in items)
        {
            if (TryWhole(item, out long value) && value is >= 0 and <= int.MaxValue) values.Add((int)value);
            else Wrong(item, key, "a whole number of at least 0, or a list of them");
        }
        return values;
    }

    /// <summary>A map of names to numbers above 0; empty when it is absent. Keys keep their place.</summary>
    public IReadOnlyList<(YamlValue Name, double Value)> Numbers(string key, bool whole)
    {
        recorder?.Note(
            path, key, new KeySchema { Type = "object",
            Values = new KeySchema { Type = whole ? "integer" : "number", Least = whole ? 1 : 0, IsAbove = !whole } });
        YamlValue? child = Find(key);
        if (child is null) return [];
        if (child.Kind != YamlKind.Map) Wrong(child, key, "a map of module names to numbers");
        var values = new List<(YamlValue, double)>();
        foreach ((YamlValue name, YamlValue item) in child.Entries)
        {
            if (TryNumber(item, out double value) && value > 0
                && (!whole || (TryWhole(item, out _) && value <= int.MaxValue)))
                values.Add((name, value));
            else Wrong(item, $"{key}.{name.Text}", whole ? "a whole number of at least 1" : "a number above 0");
        }
        return values;
    }

    /// <summary>A map of names to texts; empty when it is absent.</summary>
    public IReadOnlyDictionary<string, string> TextMap(string key)
    {
        recorder?.Note(path, key, new KeySchema { Type = "object", Values = new KeySchema { Type = "string" } });
        var values = new Dictionary<string, string>();
        YamlValue? child = Find(key);
        if (child is null) return values;
        if (child.Kind != YamlKind.Map) Wrong(child, key, "a map of names to names");
        foreach ((YamlValue name, YamlValue item) in child.Entries)
        {
            if (item is { Kind: YamlKind.Scalar, Text.Length: > 0, IsNull: false }) values[name.Text] = item.Text;
            else Wrong(item, $"{key}.{name.Text}", "a text");
        }
        return values;
    }

    /// <summary>A number above 0 or a list of them; null when it is absent.</summary>
    public IReadOnlyList<double>? Positives(string key)
    {
        recorder?.Note(path, key, new KeySchema { Type = "number", Least = 0, IsAbove = true, MayBeList = true });
        YamlValue? child = Find(key);
        if (child is null) return null;
        IReadOnlyList<YamlValue> items = child.Kind == YamlKind.List ? child.Items : [child];
        var values = new List<double>();
        if (items.Count == 0) Wrong(child, key, "a number above 0 or a list of them");
        foreach (YamlValue item in items)
        {
            if (TryNumber(item, out double value) && value > 0) values.Add(value);
            else Wrong(item, key, "a number above 0, or a list of them");
        }
        return values;
    }

    /// <summary>Where each key of a recipe is given a value, by its full name.</summary>
    public IReadOnlyDictionary<string, YamlPlace> Given() => RecipeKeys.All.Select(key => (key.Full, Value: At(key)))
        .Where(key => key.Value is not null).ToDictionary(key => key.Full, key => key.Value!.Place);

    /// <summary>Notes a problem at the value of a key, or at the section when it lacks the key.</summary>
    public void Reject(string key, string message) => problems.Add((Find(key) ?? node).Place, $"{Full(key)} {message}");

    /// <summary>Notes every key that recipes do not have.</summary>
    public void RejectUnknown()
    {
        foreach ((YamlValue key, YamlValue _) in node.Entries)
            if (!RecipeKeys.Sections[path].Contains(key.Text))
                problems.Add(key.Place, "keys that recipes do not have",
                    () => $"{Full(YamlValue.Short(key.Text))} is not a key of a recipe; " +
                    $"{RecipeKeys.Advice(path, key.Text, name => node.PlaceOf(name))}");
    }

    private YamlValue? Find(string key) => node.Find(key) is { IsNull: false } child ? child : null;

    private YamlValue? At(Keys.RecipeKey key)
    {
        YamlValue? at = node;
        foreach (string part in key.Full.Split('.')) at = at?.Find(part) is { IsNull: false } found ? found : null;
        return at;
    }

    private string Full(string key) => RecipeKeys.Full(path, key);

    private void Wrong(YamlValue value, string key, string expected) =>
        problems.Add(value.Place, $"values where {expected} is expected",
        () => $"{Full(key)} is {value}, expected {expected}");

    private static bool TryNumber(YamlValue value, out double number)
    {
        number = 0;
        return value is { Kind: YamlKind.Scalar, IsPlain: true }
            && double.TryParse(value.Text, NumberStyles.Float, CultureInfo.InvariantCulture, out number)
                && double.IsFinite(number);
    }

    private static bool TryWhole(YamlValue value, out long number)
    {
        const double Exact = 1L << 53; // beyond it a double skips whole numbers
        number = 0;
        if (value is not { Kind: YamlKind.Scalar, IsPlain: true }) return false;
        if (long.TryParse(value.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out number))
            return true;
        if (!TryNumber(value, out double real) || real != Math.Floor(real) || Math.Abs(real) > Exact) return false;
        number = (long)real;
        return true;
    }
}
