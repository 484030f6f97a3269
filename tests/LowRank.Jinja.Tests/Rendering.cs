using System.Text.Json.Nodes;

namespace LowRank.Jinja.Tests;

/// <summary>Shorthand for tests of templates.</summary>
internal static class Rendering
{
    /// <summary>Renders a template with variables written as JSON.</summary>
    public static string Render(string source, string variables = "{}", JinjaLimits? limits = null) =>
        JinjaTemplate.Parse(source, limits).Render(JsonNode.Parse(variables)!.AsObject()).Text;

    /// <summary>The message of the error that parsing or rendering ends in.</summary>
    public static string Error(string source, string variables = "{}", JinjaLimits? limits = null) =>
        Assert.Throws<TemplateException>(() => Render(source, variables, limits)).Message;
}
