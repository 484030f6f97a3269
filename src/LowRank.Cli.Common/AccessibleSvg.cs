using System.Xml.Linq;

namespace LowRank.Cli.Common;

/// <summary>Pictures for readers who cannot see them.</summary>
public static class AccessibleSvg
{
    /// <summary>An SVG document with a title and a description, which scales with its surroundings.</summary>
    /// <param name="svg">The document.</param>
    /// <param name="title">What the picture shows.</param>
    /// <param name="description">Its contents in words.</param>
    /// <param name="width">Width of the document's units.</param>
    /// <param name="height">Height of the document's units.</param>
    public static string Describe(string svg, string title, string description, double width, double height)
    {
        XDocument document = XDocument.Parse(svg);
        XNamespace space = "http://www.w3.org/2000/svg";
        XElement root = document.Root!;
        root.SetAttributeValue("role", "img");
        root.SetAttributeValue("viewBox", FormattableString.Invariant($"0 0 {width} {height}"));
        root.AddFirst(new XElement(space + "title", title), new XElement(space + "desc", description));
        return document.ToString();
    }
}
