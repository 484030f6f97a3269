using System.Runtime.CompilerServices;

namespace LowRank.Jinja;

/// <summary>Counts the cost of a rendering and ends it at the limits. Also tracks the current line.</summary>
internal sealed class Budget(JinjaLimits limits)
{
    private const int CharactersPerStep = 8;
    private long _steps;
    private int _depth;

    /// <summary>The line of the node that started last, counted from 1.</summary>
    public int Line { get; set; } = 1;

    /// <summary>The longest text allowed, in UTF-16 characters.</summary>
    public int MaximumLength => limits.MaximumLength;

    /// <summary>Starts a node of the template.</summary>
    public void Begin(int line)
    {
        Line = line;
        Spend(1);
        EnsureStack();
    }

    /// <summary>Counts a number of steps.</summary>
    public void Spend(long steps)
    {
        _steps += steps;
        if (_steps > limits.MaximumSteps)
        {
            throw new TemplateException(
                $"the template takes more than {limits.MaximumSteps} steps; it loops over too much or never ends " +
                $"({nameof(JinjaLimits)}.{nameof(JinjaLimits.MaximumSteps)})");
        }
    }

    /// <summary>Counts text that was created or read.</summary>
    public void SpendCharacters(long characters) => Spend(characters / CharactersPerStep);

    /// <summary>Refuses a text that is or would become too long.</summary>
    public void CheckLength(long characters)
    {
        if (characters > limits.MaximumLength)
        {
            throw new TemplateException(
                $"the template creates a text of more than {limits.MaximumLength} characters " +
                $"({nameof(JinjaLimits)}.{nameof(JinjaLimits.MaximumLength)})");
        }
    }

    /// <summary>Goes one level deeper into macros or nested values; <see cref="Leave"/> goes back.</summary>
    public void Enter()
    {
        if (++_depth > limits.MaximumDepth)
        {
            throw TooDeep(limits, null);
        }

        EnsureStack();
    }

    /// <summary>Goes back from <see cref="Enter"/>.</summary>
    public void Leave() => _depth--;

    /// <summary>The error for nesting beyond the limit.</summary>
    public static TemplateException TooDeep(JinjaLimits limits, int? line) => new(
        $"the template nests deeper than {limits.MaximumDepth} levels or than the stack allows " +
        $"({nameof(JinjaLimits)}.{nameof(JinjaLimits.MaximumDepth)})", line);

    // Long chains such as a + b + c + ... are deep trees although the source is not nested; only the stack shows it.
    private void EnsureStack()
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack())
        {
            throw TooDeep(limits, null);
        }
    }
}

/// <summary>Counts what functions read and return, so no call is free.</summary>
internal static class Cost
{
    /// <summary>Counts a value by its length; a text beyond the limit is an error.</summary>
    public static void Charge(Renderer renderer, object value)
    {
        switch (value)
        {
            case string or MarkupValue:
                var length = Text.Of(value)!.Length;
                renderer.Budget.CheckLength(length);
                renderer.Budget.SpendCharacters(length);
                break;
            case ListValue list:
                renderer.Budget.Spend(list.Items.Count);
                break;
        }
    }
}
