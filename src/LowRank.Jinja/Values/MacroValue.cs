namespace LowRank.Jinja;

/// <summary>A macro, or the body of a call block, with the scope it was defined in.</summary>
internal sealed record MacroValue(MacroDefinition Definition, Scope Outer)
{
    /// <summary>Renders the macro.</summary>
    public string Call(Renderer renderer, Arguments arguments)
    {
        renderer.Budget.Enter();
        var line = renderer.Budget.Line;
        var scope = new Scope(Outer);
        var named = new DictionaryValue(renderer.Keys);
        foreach (var (name, value) in arguments.Named)
        {
            named.Items[name] = value;
        }

        var missing = SetParameters(scope, arguments, named);
        SetRest(scope, arguments, named);
        SetDefaults(renderer, scope, missing);
        var text = renderer.Capture(Definition.Body, scope, out _);
        renderer.Budget.Leave();
        renderer.Budget.Line = line;
        return text;
    }

    private List<MacroParameter> SetParameters(Scope scope, Arguments arguments, DictionaryValue named)
    {
        var missing = new List<MacroParameter>();
        for (var i = 0; i < Definition.Parameters.Count; i++)
        {
            var parameter = Definition.Parameters[i];
            if (i < arguments.Positional.Count)
            {
                scope.Set(parameter.Name, arguments.Positional[i]);
            }
            else if (named.Items.Remove(parameter.Name, out var value))
            {
                scope.Set(parameter.Name, value);
            }
            else
            {
                // A default may use earlier parameters; later ones that were not given are undefined until then.
                scope.Set(parameter.Name, new UndefinedValue($"parameter '{parameter.Name}' was not provided"));
                missing.Add(parameter);
            }
        }

        return missing;
    }

    private void SetRest(Scope scope, Arguments arguments, DictionaryValue named)
    {
        if (Definition.UsesCaller && Definition.Parameters.All(parameter => parameter.Name != "caller"))
        {
            scope.Set("caller", named.Items.Remove("caller", out var body)
                ? body
                : new UndefinedValue("No caller defined"));
        }

        if (Definition.UsesNamedRest)
        {
            scope.Set("kwargs", named);
        }
        else if (named.Items.Count > 0)
        {
            throw TemplateException.Type(
                $"macro '{Definition.Name}' takes no keyword argument '{Text.Of(named.Items.GetAt(0).Key)}'");
        }

        if (Definition.UsesPositionalRest)
        {
            scope.Set("varargs", new TupleValue([.. arguments.Positional.Skip(Definition.Parameters.Count)]));
        }
        else if (arguments.Positional.Count > Definition.Parameters.Count)
        {
            throw TemplateException.Type(
                $"macro '{Definition.Name}' takes not more than {Definition.Parameters.Count} argument(s)");
        }
    }

    private static void SetDefaults(Renderer renderer, Scope scope, List<MacroParameter> missing)
    {
        var outer = renderer.Scope;
        renderer.Scope = scope;
        foreach (var parameter in missing)
        {
            if (parameter.Default is not null)
            {
                scope.Set(parameter.Name, parameter.Default.Evaluate(renderer));
            }
        }

        renderer.Scope = outer;
    }
}

/// <summary>The arguments of a call.</summary>
internal sealed record Arguments(IReadOnlyList<object> Positional, IReadOnlyList<KeyValuePair<string, object>> Named)
{
    /// <summary>No arguments.</summary>
    public static Arguments Empty { get; } = new([], []);

    /// <summary>
    /// Distributes the arguments over parameters, as a Python function with this signature would.
    /// </summary>
    /// <param name="function">The function's name for messages.</param>
    /// <param name="required">The number of parameters without a default.</param>
    /// <param name="parameters">The parameters' names.</param>
    /// <returns>One value per parameter; null if the argument was not given.</returns>
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
                throw TemplateException.Type($"{function}() got an unexpected keyword argument '{name}'");
            }

            if (values[index] is not null)
            {
                throw TemplateException.Type($"{function}() got multiple values for argument '{name}'");
            }

            values[index] = value;
        }

        for (var i = 0; i < required; i++)
        {
            if (values[i] is null)
            {
                throw TemplateException.Type($"{function}() missing the required argument '{parameters[i]}'");
            }
        }

        return values;
    }

    /// <summary>The arguments of a function that takes no keywords; null for an argument that was not given.</summary>
    public object?[] BindPositional(string function, int required, int maximum)
    {
        if (Named.Count > 0)
        {
            throw TemplateException.Type($"{function}() takes no keyword arguments, got '{Named[0].Key}'");
        }

        CheckCount(function, maximum);
        if (Positional.Count < required)
        {
            throw TemplateException.Type(
                $"{function}() expected at least {required} arguments, got {Positional.Count}");
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
            throw TemplateException.Type($"{function}() takes at most {maximum} arguments, got {Positional.Count}");
        }
    }
}

/// <summary>Calls values.</summary>
internal static class Calls
{
    /// <summary>Whether a value can be called.</summary>
    public static bool IsCallable(object value) => value is FunctionValue or MacroValue or LoopValue or UndefinedValue;

    /// <summary>Calls a value.</summary>
    public static object Invoke(Renderer renderer, object target, Arguments arguments)
    {
        var result = target switch
        {
            FunctionValue function => function.Call(renderer, arguments),
            MacroValue macro => macro.Call(renderer, arguments),
            LoopValue { Recurse: { } recurse } => recurse(renderer, arguments),
            LoopValue => throw TemplateException.Type("the loop must have the 'recursive' marker to be called"),
            UndefinedValue undefined => throw undefined.Use(),
            _ => throw TemplateException.Type($"'{TypeNames.Of(target)}' object is not callable"),
        };
        Cost.Charge(renderer, result);
        return result;
    }
}
