using System.Globalization;
using System.Text.RegularExpressions;
using LowRank.Adapters;
using LowRank.Data.Rows;
using LowRank.Hub;
using LowRank.IO;

namespace LowRank.Recipes;

/// <summary>The values that a recipe key accepts: how a value is read from YAML, and its description in the JSON
/// Schema.</summary>
/// <param name="Schema">The description for editors.</param>
/// <param name="TryRead">Reads a value. Records problems; false leaves the key at its default.</param>
internal sealed record KeyType<T>(KeySchema Schema, KeyReader<T> TryRead)
{
    /// <summary>The accepted values in another form.</summary>
    public KeyType<TOther> As<TOther>(Func<T, TOther> convert) => new(Schema, (given, out other) =>
    {
        bool isRead = TryRead(given, out T value);
        other = isRead ? convert(value) : default!;
        return isRead;
    });
}

/// <summary>Reads the value of a key.</summary>
internal delegate bool KeyReader<T>(GivenValue given, out T value);

/// <summary>A value given to a key in a recipe, and where to record problems.</summary>
/// <param name="value">The value, which is not null.</param>
/// <param name="key">The key.</param>
/// <param name="problems">Receives the problems.</param>
/// <param name="paths">Resolves paths.</param>
internal sealed class GivenValue(YamlValue value, Setting key, RecipeProblems problems, RecipePaths paths)
{
    public YamlValue Value => value;

    public RecipePaths Paths => paths;

    /// <summary>The items of a list; a single value is treated as a list of one.</summary>
    public IReadOnlyList<YamlValue> Items => value.Kind == YamlKind.List ? value.Items : [value];

    /// <summary>Records that the value, or a value inside it, is not what is expected.</summary>
    public void Wrong(string expected, YamlValue? inside = null, string name = "") =>
        problems.Add((inside ?? value).Place, $"values where {expected} is expected",
            () => Problem.Of(key.In(name), inside ?? value, expected) with { Code = ProblemCodes.WrongValue });

    /// <summary>Records a problem in words that follow the key.</summary>
    public void Reject(string message, YamlValue? inside = null) =>
        problems.Add((inside ?? value).Place, new Problem($"{key} {message}") { Setting = key });
}

/// <summary>The types of recipe keys.</summary>
internal static class KeyTypes
{
    /// <summary>A non-empty string.</summary>
    public static KeyType<string> Text { get; } = new(new KeySchema { Type = "string" }, (given, out text) =>
    {
        text = given.Value.Text;
        return given.Value is { Kind: YamlKind.Scalar, Text.Length: > 0 } || Fails(given, "a text");
    });

    /// <summary>true or false.</summary>
    public static KeyType<bool> Flag { get; } = new(new KeySchema { Type = "boolean" }, (given, out flag) =>
    {
        string word = given.Value is { Kind: YamlKind.Scalar, IsPlain: true } plain ? plain.Text : "";
        flag = word is "true" or "True" or "TRUE";
        return flag || word is "false" or "False" or "FALSE" || Fails(given, "true or false");
    });

    /// <summary>A positive duration, in seconds or with units.</summary>
    public static KeyType<TimeSpan> Time { get; } =
        new(new KeySchema { Type = "number", OtherType = "string", Least = 0, IsAbove = true },
            (given, out time) =>
            {
                time = default;
                return (given.Value.Kind == YamlKind.Scalar && DurationText.TryParse(given.Value.Text, out time))
                    || Fails(given, "a time such as 90s, 30m, 2h, 1h30m, or a number of seconds");
            });

    /// <summary>A string or a list of strings.</summary>
    public static KeyType<IReadOnlyList<string>> Texts { get; } =
        Items.As<IReadOnlyList<string>>(items => [.. items.Select(item => item.Text)]);

    /// <summary>A non-negative integer, or a list of them.</summary>
    public static KeyType<IReadOnlyList<int>> Wholes { get; } =
        ListOf(new KeySchema { Type = "integer", Least = 0 }, "a whole number or a list of them",
            "a whole number of at least 0, or a list of them",
            item => TryWhole(item, out long whole) && whole is >= 0 and <= int.MaxValue ? (int)whole : (int?)null);

    /// <summary>A positive number or a list of them.</summary>
    public static KeyType<IReadOnlyList<double>> Positives { get; } =
        ListOf(new KeySchema { Type = "number", Least = 0, IsAbove = true }, "a number above 0 or a list of them",
            "a number above 0, or a list of them",
            item => TryNumber(item, out double number) && number > 0 ? number : (double?)null);

    /// <summary>A map of names to strings.</summary>
    public static KeyType<IReadOnlyDictionary<string, string>> TextMap { get; } =
        new(new KeySchema { Type = "object", Values = new KeySchema { Type = "string" } }, (given, out map) =>
        {
            var texts = new Dictionary<string, string>();
            foreach ((YamlValue name, YamlValue item) in given.Value.Entries)
                if (item is { Kind: YamlKind.Scalar, Text.Length: > 0, IsNull: false }) texts[name.Text] = item.Text;
                else given.Wrong("a text", item, $".{name.Text}");
            map = texts;
            return given.Value.Kind == YamlKind.Map || Fails(given, "a map of names to names");
        });

    /// <summary>A map of module names or patterns to ranks.</summary>
    public static KeyType<IReadOnlyDictionary<string, int>> Ranks { get; } =
        Patterns(new KeySchema { Type = "integer", Least = 1 }, "a whole number of at least 1",
            item => TryWhole(item, out long whole) && whole is > 0 and <= int.MaxValue ? (int)whole : (int?)null);

    /// <summary>A map of module names or patterns to positive numbers.</summary>
    public static KeyType<IReadOnlyDictionary<string, double>> Alphas { get; } =
        Patterns(new KeySchema { Type = "number", Least = 0, IsAbove = true }, "a number above 0",
            item => TryNumber(item, out double number) && number > 0 ? number : (double?)null);

    /// <summary>Module names as a list; or a string, which is a regular expression for full paths.</summary>
    public static KeyType<ModuleSelection> Modules { get; } = new(Items.Schema, (given, out modules) =>
    {
        modules = [];
        if (!Items.TryRead(given, out IReadOnlyList<YamlValue> items)) return false;
        bool isList = given.Value.Kind == YamlKind.List;
        if (!isList) CheckExpression(given, items[0]);
        modules = isList ? [.. items.Select(item => item.Text)] : ModuleSelection.Pattern(items[0].Text);
        return true;
    });

    /// <summary>A path.</summary>
    public static KeyType<string> Path { get; } = new(Text.Schema, (given, out path) =>
    {
        bool isText = Text.TryRead(given, out path);
        if (isText) path = given.Paths.Resolve(given.Value);
        return isText;
    });

    /// <summary>Files, folders and patterns.</summary>
    public static KeyType<IReadOnlyList<string>> Paths { get; } = new(Items.Schema, (given, out paths) =>
    {
        paths = [];
        if (!Items.TryRead(given, out IReadOnlyList<YamlValue> items)) return false;
        foreach (YamlValue pipe in items.Where(item => item.Text == RowFiles.StandardInput))
            given.Reject(
                "is -, the standard input, which can be read once; a recipe's data is read several times. Write it " +
                "to a file", pipe);
        paths = [.. items.Select(given.Paths.Resolve)];
        return true;
    });

    /// <summary>A folder; if it does not exist, a repository on the Hub, whose name is unchanged.</summary>
    public static KeyType<string> FolderOrRepository { get; } = new(Text.Schema, (given, out place) =>
    {
        bool isText = Text.TryRead(given, out place);
        if (isText && (HubRepository.TryParse(place) is null || given.Paths.Exists(given.Value)))
            place = given.Paths.Resolve(given.Value);
        return isText;
    });

    /// <summary>A file; if it does not exist, a name, which is unchanged.</summary>
    public static KeyType<string> FileOrName { get; } = new(Text.Schema, (given, out text) =>
    {
        bool isText = Text.TryRead(given, out text);
        if (isText && given.Paths.Resolve(given.Value) is var path && File.Exists(path)) text = path;
        return isText;
    });

    private static KeyType<IReadOnlyList<YamlValue>> Items =>
        new(new KeySchema { Type = "string", MayBeList = true }, (given, out items) =>
        {
            items = given.Items;
            YamlValue? wrong = items.FirstOrDefault(
                item => item.Kind != YamlKind.Scalar || item.Text.Length == 0 || item.IsNull);
            if (items.Count > 0 && wrong is null) return true;
            given.Wrong("a text or a list of texts", wrong);
            return false;
        });

    /// <summary>One of several strings.</summary>
    public static KeyType<string> OneOf(params IReadOnlyList<string> allowed) => OneOf(() => allowed);

    /// <summary>One of the names that are registered when the recipe is read.</summary>
    public static KeyType<string> OneOf(Func<IReadOnlyList<string>> allowed) =>
        new(new KeySchema { Type = "string", ChoicesNow = allowed }, (given, out text) =>
            Text.TryRead(given, out text)
            && (allowed().Contains(text) || Fails(given, $"one of {string.Join(", ", allowed())}")));

    /// <summary>A string with a certain form, checked by <paramref name="isFit"/>, and a description of the
    /// form.</summary>
    public static KeyType<string> TextLike(Func<string, bool> isFit, string expected) =>
        new(Text.Schema, (given, out text) =>
        {
            if (!Text.TryRead(given, out text)) return false;
            if (!isFit(text)) given.Reject($"is {YamlValue.Short(text)}, expected {expected}");
            return true;
        });

    /// <summary>A string parsed by a function, which describes problems in words.</summary>
    public static KeyType<T> Parsed<T>(Func<string, T> parse) => new(Text.Schema, (given, out value) =>
    {
        value = default!;
        if (!Text.TryRead(given, out string text)) return false;
        try
        {
            value = parse(text);
            return true;
        }
        catch (InputException failure)
        {
            given.Reject($"cannot be used: {failure.Message.TrimEnd('.')}");
            return false;
        }
    });

    /// <summary>A number within bounds.</summary>
    /// <param name="least">The minimum.</param>
    /// <param name="below">The exclusive upper bound.</param>
    /// <param name="above">Whether the minimum is exclusive: values must be above <paramref name="least"/>.</param>
    public static KeyType<double> Number(
        double least = 0, double below = double.PositiveInfinity, bool above = false) =>
        new(new KeySchema { Type = "number", Least = least, IsAbove = above,
            Most = double.IsPositiveInfinity(below) ? null : below, IsBelow = true },
            (given, out number) =>
                (TryNumber(given.Value, out number) && (above ? number > least : number >= least) && number < below)
                || Fails(given, $"a number {(above ? $"above {least}" : $"of at least {least}")}"
                    + (double.IsPositiveInfinity(below) ? "" : $" and below {below}")));

    /// <summary>An integer within inclusive bounds.</summary>
    public static KeyType<long> Whole(long least, long most = long.MaxValue)
    {
        bool isOpen = most is long.MaxValue or int.MaxValue;
        return new(new KeySchema { Type = "integer", Least = least, Most = isOpen ? null : most },
            (given, out whole) => (TryWhole(given.Value, out whole) && whole >= least && whole <= most)
                || Fails(given, isOpen ? $"a whole number of at least {least}"
                    : $"a whole number from {least} to {most}"));
    }

    /// <summary>An integer that counts something in memory.</summary>
    public static KeyType<int> Count(int least, int most = int.MaxValue) => Whole(least, most).As(whole => (int)whole);

    /// <summary>An integer, or one of several words.</summary>
    public static KeyType<(long? Number, string Word)> WholeOrWord(long least, params IReadOnlyList<string> words) =>
        new(new KeySchema { Type = "integer", OtherType = "string", Least = least, OtherChoices = words },
            (given, out value) =>
            {
                bool isWord = given.Value.Kind == YamlKind.Scalar && words.Contains(given.Value.Text);
                value = isWord ? (null, given.Value.Text) : (TryWhole(given.Value, out long whole) ? whole : null, "");
                return isWord || value.Number >= least
                    || Fails(given, $"{string.Join(", ", words)} or a whole number of at least {least}");
            });

    private static bool Fails(GivenValue given, string expected)
    {
        given.Wrong(expected);
        return false;
    }

    private static KeyType<IReadOnlyList<T>> ListOf<T>(
        KeySchema item, string expected, string expectedItem, Func<YamlValue, T?> read) where T : struct =>
        new(item with { MayBeList = true }, (given, out list) =>
        {
            var values = new List<T>();
            if (given.Items.Count == 0) given.Wrong(expected);
            foreach (YamlValue one in given.Items)
                if (read(one) is { } value) values.Add(value);
                else given.Wrong(expectedItem, one);
            list = values;
            return true;
        });

    private static KeyType<IReadOnlyDictionary<string, T>> Patterns<T>(
        KeySchema item, string expected, Func<YamlValue, T?> read) where T : struct =>
        new(new KeySchema { Type = "object", Values = item }, (given, out map) =>
        {
            var values = new Dictionary<string, T>();
            foreach ((YamlValue name, YamlValue one) in given.Value.Entries)
            {
                if (read(one) is not { } value)
                {
                    given.Wrong(expected, one, $".{name.Text}");
                    continue;
                }
                CheckExpression(given, name);
                values[name.Text] = value;
            }
            map = values;
            return given.Value.Kind == YamlKind.Map || Fails(given, "a map of module names to numbers");
        });

    private static void CheckExpression(GivenValue given, YamlValue expression)
    {
        try
        {
            _ = new Regex(expression.Text, RegexOptions.None, TimeSpan.FromSeconds(1));
        }
        catch (ArgumentException e)
        {
            given.Reject($"is {expression}, expected module names or a regular expression: {e.Message}", expression);
        }
    }

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

/// <summary>Resolves the paths of a recipe.</summary>
/// <param name="folder">The folder that paths in the recipe's own file and in overrides are relative to.</param>
/// <param name="problems">Receives environment variables that are not set.</param>
internal sealed partial class RecipePaths(string folder, RecipeProblems problems)
{
    /// <summary>The full path, with environment variables replaced.</summary>
    public string Resolve(YamlValue path)
    {
        string expanded = Variable().Replace(path.Text, match =>
        {
            string? value = Environment.GetEnvironmentVariable(match.Groups[1].Value);
            if (value is null)
                problems.Add(path.Place,
                    $"the environment variable {match.Groups[1].Value} of {path.Text} is not set; set it or write " +
                    "the path out");
            return value ?? "";
        });
        string from = path.Place.Folder ?? folder;
        if (!expanded.Contains('\0')) return Path.GetFullPath(EmbeddedFiles.Resolve(expanded, from), from);
        problems.Add(path.Place, "a path holds the character 0, which no file system takes");
        return folder;
    }

    /// <summary>Whether a path exists as written.</summary>
    public bool Exists(YamlValue path) => Path.Exists(Path.GetFullPath(path.Text, path.Place.Folder ?? folder));

    /// <summary>Whether a path contains an environment variable.</summary>
    public static bool HasVariable(YamlValue path) => Variable().IsMatch(path.Text);

    [GeneratedRegex(@"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")]
    private static partial Regex Variable();
}

/// <summary>The values that a recipe key accepts, in JSON Schema's terms.</summary>
internal sealed record KeySchema
{
    /// <summary>The type: string, number, integer, boolean or object.</summary>
    public required string Type { get; init; }

    /// <summary>Another accepted type; null for none.</summary>
    public string? OtherType { get; init; }

    /// <summary>The allowed strings if the value has <see cref="OtherType"/>; null for any.</summary>
    public IReadOnlyList<string>? OtherChoices { get; init; }

    /// <summary>The allowed strings; null for any.</summary>
    public IReadOnlyList<string>? Choices => ChoicesNow?.Invoke();

    /// <summary>Returns <see cref="Choices"/>, which programs may extend.</summary>
    public Func<IReadOnlyList<string>>? ChoicesNow { get; init; }

    /// <summary>The minimum; null for none.</summary>
    public double? Least { get; init; }

    /// <summary>Whether the minimum is exclusive.</summary>
    public bool IsAbove { get; init; }

    /// <summary>The maximum; null for none.</summary>
    public double? Most { get; init; }

    /// <summary>Whether the maximum is exclusive.</summary>
    public bool IsBelow { get; init; }

    /// <summary>Whether a list of such values is also accepted.</summary>
    public bool MayBeList { get; init; }

    /// <summary>The type of a map's values; null if it is not a map.</summary>
    public KeySchema? Values { get; init; }
}
