using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace LowRank.Data.Chat;

/// <summary>Checks the tools of a request and gives them the form that chat templates read.</summary>
internal static partial class RequestTools
{
    /// <summary>Reads the tools.</summary>
    /// <returns>The tools, without <c>strict</c>, which models were not trained on.</returns>
    /// <exception cref="InputException">Problems, each with its place, such as <c>tools[2].function.name</c>.
    /// </exception>
    public static JsonArray Read(JsonArray tools, ChatLimits limits)
    {
        if (tools.Count == 0) throw Wrong("tools", "it is empty, expected at least one tool, or no tools at all.");
        if (tools.Count > limits.Tools)
            throw Wrong("tools", $"it has {tools.Count} tools, expected at most {limits.Tools}.");
        List<Problem> problems = [];
        HashSet<string> names = [];
        JsonArray read = [];
        for (int i = 0; i < tools.Count; i++)
        {
            (string Place, string Text)? problem = Problem(tools[i], names);
            if (problem is { } found)
                problems.Add(new Problem(found.Text) { Place = LowRank.Words.Plain($"tools[{i}]{found.Place}") });
            else read.Add((JsonNode?)Shown(tools[i]!.AsObject()));
        }
        return problems.Count == 0 ? read
            : problems.Count == 1 ? throw new InputException(problems[0])
            : throw new InputException("The tools cannot be used:", problems);
    }

    /// <summary>The names of tools.</summary>
    public static IReadOnlyList<string> Names(JsonArray tools) =>
        [.. tools.Select(tool => tool!["function"]!["name"]!.GetValue<string>())];

    private static (string Place, string Text)? Problem(JsonNode? node, HashSet<string> names)
    {
        if (node is not JsonObject tool || Row.AsText(tool["type"]) is not { } type)
            return ("", $"it is {Row.Describe(node)}, expected {{\"type\": \"function\", \"function\": " +
                "{\"name\", …}}.");
        if (type != "function") return (".type", "only the type function is supported.");
        if (tool["function"] is not JsonObject function)
            return (".function", $"it is {Row.Describe(tool["function"])}, expected {{\"name\", \"parameters\"}}.");
        if (Row.AsText(function["name"]) is not { } name || !Name().IsMatch(name))
            return (".function.name", "expected 1 to 64 letters, digits, underscores, dashes or points.");
        if (!names.Add(name)) return (".function.name", $"{name} is the name of two tools.");
        if (function["description"] is { } description && Row.AsText(description) is null)
            return (".function.description", $"it is {Row.Describe(description)}, expected a text.");
        return function["parameters"] is null or JsonObject ? null
            : (".function.parameters", $"it is {Row.Describe(function["parameters"])}, expected a JSON Schema.");
    }

    private static JsonObject Shown(JsonObject tool)
    {
        var shown = (JsonObject)tool.DeepClone();
        var function = (JsonObject)shown["function"]!;
        function.Remove("strict");
        // Templates read both.
        if (function["description"] is null) function["description"] = "";
        function["parameters"] ??= new JsonObject { ["type"] = "object", ["properties"] = new JsonObject() };
        return shown;
    }

    private static InputException Wrong(string place, string problem) =>
        new(new Problem(problem) { Place = LowRank.Words.Plain(place) });

    [GeneratedRegex(@"^[A-Za-z0-9_.\-]{1,64}\z")]
    private static partial Regex Name();
}
