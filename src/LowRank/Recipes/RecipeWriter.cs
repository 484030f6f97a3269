using System.Collections;
using System.Globalization;
using System.Text;

namespace LowRank.Recipes;

/// <summary>Writes a recipe as YAML, without the keys that have no effect, which would be rejected on
/// reading.</summary>
internal static class RecipeWriter
{
    public static string Write(Recipe recipe) => Section("", new RecipeChoices(recipe, _ => false));

    private static string Section(string path, RecipeChoices choices)
    {
        var text = new StringBuilder();
        string indent = path.Length == 0 ? "" : new string(' ', 2 * path.Split('.').Length);
        IEnumerable<RecipeKey> keys = RecipeKeys.Sections[path];
        if (path == AdapterKeys.Options && choices.Adapter.Method is { } method) // in the method's own order
            keys = method.Options.Select(option => RecipeKeys.Get($"{path}.{option.Name}"));
        foreach (RecipeKey key in keys)
        {
            if (!key.IsWritten(choices.Recipe) || key.Refusal(choices) is not null) continue;
            if (key.Schema is not null)
                text.Append(indent).Append(key.Name).Append(": ").Append(Value(key.Written(choices.Recipe)))
                    .Append('\n');
            else if (Section(key.Full, choices) is { Length: > 0 } section)
                text.Append(indent).Append(key.Name).Append(":\n").Append(section);
        }
        return text.ToString();
    }

    private static string Value(object? value) => value switch
    {
        null => "null",
        bool flag => flag ? "true" : "false",
        double number => Number(number),
        string words => Quoted(words),
        IDictionary map =>
            $"{{{string.Join(", ", map.Keys.Cast<string>().Select(key => $"{Quoted(key)}: {Value(map[key])}"))}}}",
        IEnumerable list => $"[{string.Join(", ", list.Cast<object>().Select(Value))}]",
        _ => string.Create(CultureInfo.InvariantCulture, $"{value}"),
    };

    // The shortest digits that round-trip, with a decimal point, which YAML 1.1 readers require before an exponent.
    private static string Number(double number)
    {
        string digits = number.ToString("R", CultureInfo.InvariantCulture);
        return digits.Contains('E') && !digits.Contains('.') ? digits.Replace("E", ".0E") : digits;
    }

    // A double-quoted YAML string.
    private static string Quoted(string words)
    {
        var quoted = new StringBuilder("\"");
        foreach (char c in words)
        {
            if (c is '"' or '\\') quoted.Append('\\').Append(c);
            else if (char.IsControl(c) || c is '\u2028' or '\u2029' or '\uFEFF' or '\uFFFE' or '\uFFFF')
                quoted.Append($"\\u{(int)c:X4}");
            else quoted.Append(c);
        }
        return quoted.Append('"').ToString();
    }
}
