namespace LowRank.Cli.Views;

/// <summary>Asks the user, a line each.</summary>
/// <param name="input">The answers.</param>
/// <param name="output">The questions.</param>
internal sealed class InitWizard(TextReader input, TextWriter output)
{
    /// <summary>Asks until the answer fits.</summary>
    /// <param name="question">What is asked.</param>
    /// <param name="option">The option that answers it on the command line.</param>
    /// <param name="otherwise">What an empty answer means; null where there has to be one.</param>
    /// <param name="check">What is wrong with an answer; null where it fits.</param>
    /// <exception cref="InputException">The input ended.</exception>
    public string Ask(string question, string option, string? otherwise, Func<string, string?> check)
    {
        while (true)
        {
            output.Write(otherwise is { Length: > 0 } ? $"{question} [{otherwise}]: " : $"{question}: ");
            string line = input.ReadLine()?.Trim()
                ?? throw new InputException(
                    $"There was no answer to \"{question}\". Answer in a terminal, or give {option}.");
            string answer = line.Length == 0 && otherwise is not null ? otherwise : line;
            if (check(answer) is not { } problem) return answer;
            output.WriteLine($"  {(answer.Length == 0 ? "nothing" : answer)}: {problem}.");
        }
    }
}
