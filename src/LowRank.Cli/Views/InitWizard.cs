namespace LowRank.Cli.Views;

/// <summary>Asks the user questions, one line each.</summary>
/// <param name="input">The answers.</param>
/// <param name="output">The questions.</param>
internal sealed class InitWizard(TextReader input, TextWriter output)
{
    /// <summary>Asks until the answer is valid.</summary>
    /// <param name="question">The question.</param>
    /// <param name="option">The option that answers it on the command line.</param>
    /// <param name="otherwise">The value of an empty answer; null if an answer is required.</param>
    /// <param name="check">Returns what is wrong with an answer; null if it is valid.</param>
    /// <exception cref="InputException">The input ended.</exception>
    public string Ask(string question, string option, string? otherwise, Func<string, string?> check)
    {
        while (true)
        {
            output.Write(otherwise is { Length: > 0 } ? $"{question} [{otherwise}]: " : $"{question}: ");
            string line = input.ReadLine()?.Trim()
                ?? throw new InputException(
                    $"There was no answer to \"{question}\". Answer in a terminal, or use {option}.");
            string answer = line.Length == 0 && otherwise is not null ? otherwise : line;
            if (check(answer) is not { } problem) return answer;
            output.WriteLine($"  {(answer.Length == 0 ? "nothing" : answer)}: {problem}.");
        }
    }
}
