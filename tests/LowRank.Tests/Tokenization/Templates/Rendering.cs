using System.Text.Json.Nodes;
using LowRank.Tokenization.Templates;

namespace LowRank.Tests.Tokenization.Templates;

/// <summary>Shorthand for tests of templates.</summary>
internal static class Rendering
{
    /// <summary>Renders a template with variables written as JSON.</summary>
    public static string Render(string source, string variables = "{}", ChatTemplateLimits? limits = null) =>
        ChatTemplate.Parse(source, limits).Render(JsonNode.Parse(variables)!.AsObject()).Text;

    /// <summary>The message of the error that parsing or rendering ends in.</summary>
    public static string Error(string source, string variables = "{}", ChatTemplateLimits? limits = null) =>
        Assert.Throws<InputException>(() => Render(source, variables, limits)).Message;
}
