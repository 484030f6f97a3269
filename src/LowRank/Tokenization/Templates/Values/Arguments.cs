using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Values;

/// <summary>The arguments of a call.</summary>
internal sealed record Arguments(IReadOnlyList<object> Positional, IReadOnlyList<KeyValuePair<string, object>> Named)
{
    /// <summary>No arguments.</summary>
    public static Arguments Empty { get; } = new([], []);

    /// <summary>
    /// Distributes the arguments over parameters, as a Python function with this signature would.
    /// </summary>
    /// <param name="function">The function's name for messages.</param>
    /// <param name="required">How many of the parameters have no default.</param>
    /// <param name="parameters">The parameters' names.</param>
    /// <returns>A value a parameter, null where the argument was not given.</returns>
    public object?[] Bind(string function, int required, params string[] parameters)
    {
        CheckCount(function, parameters.Length);
        var values = new object?[parameters.Length];
        for (var i = 0; i < Positional.Count; i++)
        {
            values[i] = Positional[i];
        }

        foreach (var (name, value) in Named)
        {
            var index = Array.IndexOf(parameters, name);
            if (index < 0)
            {
                throw TemplateFault.Type($"{function}() got an unexpected keyword argument '{name}'");
            }

            if (values[index] is not null)
            {
                throw TemplateFault.Type($"{function}() got multiple values for argument '{name}'");
            }

            values[index] = value;
        }

        for (var i = 0; i < required; i++)
        {
            if (values[i] is null)
            {
                throw TemplateFault.Type($"{function}() missing the required argument '{parameters[i]}'");
            }
        }

        return values;
    }

    /// <summary>The arguments of a function that takes no keywords; null where an argument was not given.</summary>
    public object?[] BindPositional(string function, int required, int maximum)
    {
        if (Named.Count > 0)
        {
            throw TemplateFault.Type($"{function}() takes no keyword arguments, got '{Named[0].Key}'");
        }

        CheckCount(function, maximum);
        if (Positional.Count < required)
        {
            throw TemplateFault.Type($"{function}() expected at least {required} arguments, got {Positional.Count}");
        }

        var values = new object?[maximum];
        for (var i = 0; i < Positional.Count; i++)
        {
            values[i] = Positional[i];
        }

        return values;
    }

    private void CheckCount(string function, int maximum)
    {
        if (Positional.Count > maximum)
        {
            throw TemplateFault.Type($"{function}() takes at most {maximum} arguments, got {Positional.Count}");
        }
    }
}
