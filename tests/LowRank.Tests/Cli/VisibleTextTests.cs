using LowRank.Cli.Common;
using LowRank.Cli.Views;
using Spectre.Console;

namespace LowRank.Tests.Cli;

/// <summary>A terminal obeys nothing that a model, a folder's name or a server wrote.</summary>
public sealed class VisibleTextTests
{
    [Theory]
    [InlineData("a\u001b[2Jb", "a␛[2Jb")]
    [InlineData("\u0007\b\u007f\u009b", "␇␈␡\uFFFD")]
    [InlineData("one\n\ttwo\r\nthree\rfour", "one\n\ttwo\nthree␍four", "one\n\ttwo\r\nthree␍four")]
    [InlineData("東 é 🙂", "東 é 🙂")]
    public void Control_characters_are_shown(string text, string expected, string? written = null)
    {
        Assert.Equal(expected, VisibleText.Of(text));
        foreach (int piece in new[] { 1, 2, 100 }) // an escape may come in two pieces
        {
            var terminal = new StringWriter { NewLine = "\n" };
            using var writer = new VisibleText.Writer(terminal) { NewLine = "\n" };
            foreach (char[] part in text.Chunk(piece)) writer.Write(new string(part));
            Assert.Equal(written ?? expected, terminal.ToString());
        }
    }

    [Fact]
    public void Every_way_to_write_shows_them()
    {
        var terminal = new StringWriter { NewLine = "\n" };
        using var writer = new VisibleText.Writer(terminal) { NewLine = "\n" };
        writer.Write('\u001b');
        writer.Write(['\u001b', 'x'], 0, 2);
        writer.Write((string?)null);
        writer.Write("{0}", "\u001b");
        writer.Write((object)"\u001b");
        writer.WriteLine("\u001b");
        writer.WriteLine("a\u001b".AsSpan());
        writer.WriteLine(3);
        Assert.Equal("␛␛x␛␛␛\na␛\n3\n", terminal.ToString());
    }

    [Fact]
    public void Tables_show_them_and_keep_their_own_colours()
    {
        var terminal = new StringWriter();
        IAnsiConsole console = AnsiConsole.Create(
            new AnsiConsoleSettings { Ansi = AnsiSupport.Yes, ColorSystem = ColorSystemSupport.Standard,
            Out = new AnsiConsoleOutput(terminal) });
        console.Profile.Width = 80;
        console.Pipeline.Attach(new Screen.VisibleSegments());
        console.Write(
            new Table().AddColumn("run").AddRow(new Text("evil\u001b[2J[red]\u009b", new Style(Color.Green))));
        string shown = terminal.ToString();
        Assert.Contains("evil␛[2J[red]\uFFFD", shown, StringComparison.Ordinal);
        Assert.Contains("\u001b[32m", shown, StringComparison.Ordinal);
        Assert.DoesNotContain("\u001b[2J", shown, StringComparison.Ordinal);
    }
}
