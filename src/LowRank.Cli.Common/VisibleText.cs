using System.Text;

namespace LowRank.Cli.Common;

/// <summary>Replaces control characters with visible signs, so a terminal never executes what a model, a file or a
/// server wrote.</summary>
public static class VisibleText
{
    private static bool Commands(char letter) => char.IsControl(letter) && letter is not ('\n' or '\t');

    private static char Sign(char letter) => letter < ' ' ? (char)('\u2400' + letter) : letter == '\u007F'
        ? '\u2421' : '\uFFFD';

    /// <summary>A text with signs (␛) for its control characters; line breaks and tabs stay.</summary>
    public static string Of(string text) => text.Any(Commands)
        ? string.Concat(
            text.Replace("\r\n", "\n", StringComparison.Ordinal)
            .Select(letter => Commands(letter) ? Sign(letter) : letter)) : text;

    /// <summary>A writer that applies <see cref="Of"/> to everything, regardless of how it is split into
    /// pieces.</summary>
    /// <param name="terminal">The underlying writer.</param>
    public sealed class Writer(TextWriter terminal) : TextWriter
    {
        private bool returned; // a \r that waits for its \n

        /// <inheritdoc/>
        public override Encoding Encoding => terminal.Encoding;

        /// <inheritdoc/>
        public override void Write(char value) => Write([value]);

        /// <inheritdoc/>
        public override void Write(string? value) => Write(value.AsSpan());

        /// <inheritdoc/>
        public override void Write(char[] buffer, int index, int count) => Write(buffer.AsSpan(index, count));

        /// <inheritdoc/>
        public override void Write(ReadOnlySpan<char> buffer)
        {
            var shown = new StringBuilder(buffer.Length + 1);
            foreach (char letter in buffer)
            {
                if (returned) shown.Append(letter == '\n' ? '\r' : Sign('\r'));
                returned = letter == '\r';
                if (!returned) shown.Append(Commands(letter) ? Sign(letter) : letter);
            }
            terminal.Write(shown.ToString());
        }

        /// <inheritdoc/>
        public override void Flush() => terminal.Flush();
    }
}
